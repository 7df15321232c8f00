import pytest

from goconductor.buses.sqs import SqsBus
from goconductor.testing.contracts.bus import BusContract, NewBus

pytestmark = pytest.mark.sqs


class TestSqsBus(BusContract):
    fifo = False

    @pytest.fixture(autouse=True)
    def sent_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a busy server has not answered in time would be sent again."""
        monkeypatch.setattr("goconductor.buses.sqs.sending.ANSWER_SECONDS", 240.0)

    @pytest.fixture
    def new_bus(self, sqs_url: str, amazon_prefix: str) -> NewBus:
        return lambda: SqsBus(
            sqs_url,
            prefix=amazon_prefix,
            fifo=self.fifo,
            wait_seconds=1,
            groups_cache_seconds=0.2,
            connect_timeout_seconds=60.0,
            send_timeout_seconds=60.0,
        )


class TestSqsBusWithFifoQueues(TestSqsBus):
    fifo = True
