"""Leaves are found by name through entry points; ours have no privilege over a third party's."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from goconductor.errors import PluginNotFoundError

GROUPS = {
    "bus": "goconductor.buses",
    "store": "goconductor.stores",
    "election": "goconductor.elections",
    "journal": "goconductor.journals",
    "keyring": "goconductor.keyrings",
}


def installed(kind: str) -> list[str]:
    """Names of the leaves installed for a port.

    Args:
        kind: one of ``bus``, ``store``, ``election``, ``journal``, ``keyring``.
    """
    return sorted({point.name for point in entry_points(group=GROUPS[kind])})


def load(kind: str, name: str) -> Any:
    """Return the class of a leaf.

    Args:
        kind: one of ``bus``, ``store``, ``election``, ``journal``, ``keyring``.
        name: the entry point's name, such as ``postgres``.

    Raises:
        PluginNotFoundError: no leaf of that name is installed, or its client library is missing.
    """
    found = [point for point in entry_points(group=GROUPS[kind]) if point.name == name]
    if not found:
        raise PluginNotFoundError(f"no {kind} called {name!r} is installed; there are: {', '.join(installed(kind)) or 'none'}")
    try:
        return found[0].load()
    except ImportError as error:
        raise PluginNotFoundError(
            f"the {kind} {name!r} needs a library that is not installed ({error.name}): pip install 'goconductor[{name}]'"
        ) from error
