"""Start sagas from code that is not asynchronous: a view of Django or Flask, a script, a thread.

::

    sagas = blocking.connect()

    def checkout(request):
        bought = sagas.start("order", {"sku": request.POST["sku"]}, key=request.POST["number"])
        return JsonResponse({"saga": str(bought.saga_id)})

The methods are those of :class:`goconductor.Conductor`, :class:`goconductor.SagaHandle` and :class:`goconductor.Flow`, without
``await``. They are written from these classes by a test, so there is one interface, and type checkers and editors see all of it.
"""

from goconductor.blocking.conductor import BlockingConductor
from goconductor.blocking.flow import BlockingFlow
from goconductor.blocking.outbox import BlockingOutbox
from goconductor.blocking.saga import BlockingSaga
from goconductor.blocking.schedules import BlockingSchedules
from goconductor.control.settings.settings import Settings
from goconductor.public import publish

__all__ = ["BlockingConductor", "BlockingFlow", "BlockingOutbox", "BlockingSaga", "BlockingSchedules", "connect"]


def connect(settings: Settings | None = None, *, open_timeout_seconds: float = 10.0) -> BlockingConductor:
    """Make a client for code that blocks. It opens with ``with``, with :meth:`BlockingConductor.open`, or with its first use.

    Args:
        settings: None loads them from ``goconductor.yaml`` and the environment, when it opens.
        open_timeout_seconds: how long opening waits for the database.
    """
    return BlockingConductor(settings, open_timeout_seconds=open_timeout_seconds)


publish(__name__)
