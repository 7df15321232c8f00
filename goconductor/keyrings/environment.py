"""Wrapping keys in a variable of the environment."""

from __future__ import annotations

import os

from goconductor.errors import SecretError, check_type
from goconductor.keyrings.text import TextKeyring

VARIABLE = "GOCONDUCTOR_WRAPPING_KEYS"


class EnvironmentKeyring(TextKeyring):
    """A :class:`goconductor.ports.keyring.Keyring` whose keys stand in a variable, each as ``ID:KEY``; the last is the newest.

    Args:
        variable: its name.

    Raises:
        ArgumentError: it is no text.
    """

    def __init__(self, variable: str = VARIABLE) -> None:
        check_type("variable", variable, str, "the name of a variable, as text")
        super().__init__(f"the variable {variable}")
        self._variable = variable

    async def read(self) -> str:
        text = os.environ.get(self._variable)
        if text is None:
            raise SecretError(f"{self.place}, which should have the wrapping keys, is not set; set it for this process")
        return text
