"""What buses share, ours and those of others: no bus has to use any of it.

``frame`` is the bus object, ``subscription`` a subscription that one task serves, ``in_flight`` what a subscription has in hand,
``link`` a connection that comes back. ``parcels``, ``waiting``, ``condition`` and ``patience`` are smaller parts; ``amazon`` and
``amazon_credentials`` are for the two buses on Amazon's services alone.
"""

from goconductor.buses.shared.condition import Condition
from goconductor.buses.shared.frame import BusFrame, Reading
from goconductor.buses.shared.in_flight import HeldDelivery, InFlight
from goconductor.buses.shared.link import Link
from goconductor.buses.shared.patience import Patience
from goconductor.buses.shared.subscription import ServedSubscription
from goconductor.public import publish

__all__ = ["BusFrame", "Condition", "HeldDelivery", "InFlight", "Link", "Patience", "Reading", "ServedSubscription"]

publish(__name__)
