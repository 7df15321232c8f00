"""What the shell offers after the tab key. It answers soon or not at all, and never with an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import typer

from goconductor import app
from goconductor.cli.running import actor, settings_path
from goconductor.cli.seeking import Sought
from goconductor.control.doors import suggestions
from goconductor.control.settings.settings import Settings, names
from goconductor.ports.store import Store

PATIENCE_SECONDS = 1.5
"""Seconds that a completion may take: a person waits for it."""

T = TypeVar("T")


def setting_names(incomplete: str) -> list[str]:
    """Settings."""
    return [name for name in map(".".join, names()) if name.startswith(incomplete)]


def saga_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the sagas that there is a definition of."""
    return [name for name in _asked(context, partial(suggestions.definition_names, actor())) if name.startswith(incomplete)]


def saga_versions(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the versions of the definition that was named before; of all, where the line cannot be read yet."""
    name: str | None = context.params.get("name")
    return _beginning(_asked(context, lambda store: suggestions.definition_versions(actor(), store, name)), incomplete)


def saga_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of the newest sagas."""
    return _beginning(_asked(context, partial(suggestions.newest_sagas, actor())), incomplete)


def step_names(context: typer.Context, incomplete: str) -> list[str]:
    """Steps of the saga that was named before."""
    saga: Sought | None = context.params.get("saga")
    if not isinstance(saga, Sought):
        return []
    steps = _asked(context, lambda store: suggestions.step_names(actor(), store, saga.saga_id, saga.name, saga.key))
    return [name for name in steps if name.startswith(incomplete)]


def _beginning(found: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    return [each for each in found if each[0].startswith(incomplete)]


def _asked(context: typer.Context, ask: Callable[[Store], Awaitable[list[T]]]) -> list[T]:
    """Return the database's answer, or nothing: a shell's line is no place for an error."""
    logging.disable()

    async def answer() -> list[T]:
        async with asyncio.timeout(PATIENCE_SECONDS), app.store(Settings.load(settings_path(context))) as store:
            return await ask(store)

    try:
        return asyncio.run(answer())
    except Exception:  # noqa: BLE001  (whatever it is)
        return []
    finally:
        logging.disable(logging.NOTSET)
