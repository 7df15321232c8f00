"""Takes the place of a loop's patience: whoever waits between tries tries once more, and whoever does not is found out."""

from goconductor.aio.backoff import Backoff
from goconductor.buses.shared.patience import Patience


class OneTry(Patience):
    """The first wait is short, and the second one without an end."""

    async def wait(self) -> None:
        await super().wait()
        self._pauses = Backoff(86_400.0, 86_400.0)
