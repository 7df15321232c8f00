"""What every store must do; the numbers are the duties that the protocols of :mod:`goconductor.ports.store` list.

Duty 1, waiting and refusing, and duty 7, the broken connection, can only be tested against the leaf's own server.
"""

from goconductor.testing.contracts.store.appending import AppendContract
from goconductor.testing.contracts.store.leading.auditing import AuditContract
from goconductor.testing.contracts.store.leading.choosing import ChoicesContract
from goconductor.testing.contracts.store.leading.feeding import FeedContract
from goconductor.testing.contracts.store.leading.hooking import WebhooksContract
from goconductor.testing.contracts.store.leading.recovering import RecoveryContract
from goconductor.testing.contracts.store.leading.retaining import RetentionContract
from goconductor.testing.contracts.store.leading.scheduling import SchedulesContract
from goconductor.testing.contracts.store.leading.terms import TermsContract
from goconductor.testing.contracts.store.leasing import LeaseContract
from goconductor.testing.contracts.store.locking import LockContract
from goconductor.testing.contracts.store.material import Faults
from goconductor.testing.contracts.store.namespaces import NamespaceContract
from goconductor.testing.contracts.store.permitting import PermitContract
from goconductor.testing.contracts.store.reading.keys import KeysContract
from goconductor.testing.contracts.store.reading.sagas import ReaderContract
from goconductor.testing.contracts.store.reading.searching import SearchContract
from goconductor.testing.contracts.store.reading.secrets import SecretsContract
from goconductor.testing.contracts.store.signalling import SignalContract
from goconductor.testing.contracts.store.starting import StartContract

__all__ = ["Faults", "StoreContract"]


class StoreContract(
    StartContract,
    LeaseContract,
    LockContract,
    PermitContract,
    AppendContract,
    RecoveryContract,
    RetentionContract,
    ReaderContract,
    NamespaceContract,
    SearchContract,
    SignalContract,
    TermsContract,
    ChoicesContract,
    SchedulesContract,
    FeedContract,
    WebhooksContract,
    KeysContract,
    SecretsContract,
    AuditContract,
):
    """Subclass it as ``TestMyStore`` and give the fixtures ``store``, ``other`` and ``faults``."""
