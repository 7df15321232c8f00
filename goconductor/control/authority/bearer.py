"""What a client shows a server that asks who is there: an API key, or a token that is renewed while the client runs.

Tokens live for minutes. So each call asks anew for the token that counts now: of a function, or of a file, such as the one that
Kubernetes keeps up to date in a pod. A file is read again when it has changed.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from goconductor.control.settings.settings import API_KEY_VARIABLE, TOKEN_FILE_VARIABLE
from goconductor.errors import ArgumentError, ConfigurationError

Token: TypeAlias = Path | Callable[[], str | Awaitable[str]]
"""A file that has a token, or a function that returns one."""
Metadata: TypeAlias = tuple[tuple[str, str], ...] | None


class Bearer:
    """What is shown.

    Args:
        api_key: an API key.
        token: where the tokens come from; without either, the variables ``GOCONDUCTOR_API_KEY`` and then
            ``GOCONDUCTOR_TOKEN_FILE`` say what is shown, if they are there.

    Attributes:
        renews: whether something else may be shown the next time.

    Raises:
        ArgumentError: there are both, or ``token`` is something else.
    """

    def __init__(self, api_key: str | None, token: Token | None) -> None:
        if api_key is not None and token is not None:
            raise ArgumentError("a client shows an API key or tokens; give one of api_key and token")
        if token is not None and not isinstance(token, Path) and not callable(token):
            raise ArgumentError("token should be the path of a file, as pathlib.Path, or a function that returns a token")
        if api_key is None and token is None:
            api_key = os.environ.get(API_KEY_VARIABLE) or None
            path = os.environ.get(TOKEN_FILE_VARIABLE) if api_key is None else None
            token = Path(path) if path else None
        self.renews = token is not None
        self._fixed = api_key
        self._token = token
        self._read: tuple[tuple[int, int, int], str] | None = None

    async def metadata(self) -> Metadata:
        """Return the metadata of a call; None where nothing is shown.

        Raises:
            ConfigurationError: the file cannot be read, or what is to be shown is no token.
        """
        if self._token is None:
            shown = self._fixed
        elif isinstance(self._token, Path):
            shown = self._of_file(self._token)
        else:
            given = self._token()
            shown = await given if inspect.isawaitable(given) else given
        if not shown:
            return None
        if not isinstance(shown, str) or not shown.isascii() or not shown.isprintable():
            raise ConfigurationError("what is to be shown to the server is no token; give one of printable ASCII characters")
        return (("authorization", f"Bearer {shown}"),)

    def _of_file(self, path: Path) -> str:
        try:
            facts = path.stat()
            mark = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if self._read is None or self._read[0] != mark:
                self._read = mark, path.read_text("ascii").strip()
        except (OSError, ValueError) as error:
            if self._read is None:
                why = getattr(error, "strerror", None) or "it holds no token"
                raise ConfigurationError(f"the token's file {path} cannot be read ({why}); name a file that has one") from None
        return self._read[1]
