"""Wrapping keys in a file, such as one that the platform mounts. It is read each time that the keyring is opened."""

from __future__ import annotations

import asyncio
from pathlib import Path

from goconductor.errors import SecretError, check_type
from goconductor.keyrings.text import BYTES_MAX, TextKeyring


class FileKeyring(TextKeyring):
    """A :class:`goconductor.ports.keyring.Keyring` whose keys stand in a file, each as ``ID:KEY``; the last is the newest.

    Args:
        path: of the file.

    Raises:
        ArgumentError: it is no text.
    """

    def __init__(self, path: str) -> None:
        check_type("path", path, str, "the path of a file, as text")
        super().__init__(f"the file {path}")
        self._path = Path(path)

    async def read(self) -> str:
        return await asyncio.to_thread(self._content)

    def _content(self) -> str:
        try:
            with self._path.open("rb") as stream:
                content = stream.read(BYTES_MAX + 1)
            if len(content) > BYTES_MAX:
                raise SecretError(f"{self.place} is larger than 1 MiB, which no wrapping keys are; correct secrets.options.path")
            return content.decode("ascii")
        except UnicodeDecodeError:
            raise SecretError(f"{self.place} has other than ASCII; correct secrets.options.path") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "no file can be called so"
            raise SecretError(
                f"{self.place}, which should have the wrapping keys, cannot be read ({why}); put it there, give this process the "
                "right to read it, or correct secrets.options.path"
            ) from None
