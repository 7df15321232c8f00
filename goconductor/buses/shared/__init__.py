"""What buses share, ours and those of others: how a connection comes back, and what a subscription has in hand.

No bus has to use any of it. ``amazon`` is for the two buses on Amazon's services alone.
"""

from goconductor.buses.shared.condition import Condition
from goconductor.buses.shared.in_flight import HeldDelivery, InFlight
from goconductor.buses.shared.link import Link
from goconductor.buses.shared.patience import Patience
from goconductor.public import publish

__all__ = ["Condition", "HeldDelivery", "InFlight", "Link", "Patience"]

publish(__name__)
