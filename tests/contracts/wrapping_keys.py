"""Wrapping keys of tests: the key of an id is the same whenever it is named."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence


def text_of(ids: Sequence[str]) -> str:
    """The text that a keyring reads."""
    return "".join(f"{each}:{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}\n" for each in ids)
