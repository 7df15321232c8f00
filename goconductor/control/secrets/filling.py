"""Puts the values of secrets into settings that refer to them, before anything is made of these.

A process reads the secrets once, as it begins. So one that was changed is taken when the process is started again.
"""

from __future__ import annotations

from goconductor.control.secrets.envelope import disclose, opened_keyring
from goconductor.control.settings.doors import GatewaySettings
from goconductor.control.settings.events import EventSettings
from goconductor.control.settings.references import Reference
from goconductor.control.settings.sections import BusSettings, ElectionSettings, OtherBus, SystemSettings, TracesSettings
from goconductor.control.settings.settings import Settings
from goconductor.errors import SecretError, hide, nearest
from goconductor.ports.store import Secrets


async def fill(settings: Settings, secrets: Secrets) -> Settings:
    """Return settings with the values of secrets in place of all references. From then on they are hidden in logs.

    Args:
        settings: as they were loaded.
        secrets: the store's, open.

    Raises:
        SecretError: one is not there, or cannot be decrypted; names all of them, each with where it is referred to and the
            remedy.
        StoreUnavailableError: the database cannot be reached.
    """
    wanted = list(dict.fromkeys(reference.name for reference in settings.references))
    if not wanted:
        return settings
    rows = {row.name: row for row in await secrets.every() if row.deleted_at is None}
    problems = [
        f"there is no secret {name!r}, to which {_places(settings.references, name)} refers; "
        f"set it: goconductor secrets set {name}" + (f"; {nearest(name, rows)}" if rows else "")
        for name in wanted
        if name not in rows
    ]
    values: dict[str, str] = {}
    found = [name for name in wanted if name in rows]
    if found:
        try:
            async with opened_keyring(settings.secrets) as keyring:
                for name in found:
                    try:
                        values[name] = await disclose(keyring, rows[name])
                    except SecretError as error:
                        problems.append(f"{error} ({_places(settings.references, name)} refers to it)")
        except SecretError as error:
            problems.append(f"{error} (to decrypt {', '.join(map(repr, found))})")
    if problems:
        raise SecretError("; ".join(problems))
    for value in values.values():
        hide(value)
    return settings.filled(values)


def without_secrets(settings: Settings) -> Settings:
    """Return settings without all that may refer to a secret, for a server that only reads: it needs the database alone.

    Its buses keep their names, though nothing is sent over them: which one is used, and how far a change of it is, is judged by
    what each process names.

    Args:
        settings: as they were loaded.
    """
    own, *others = settings.bus.named()
    bus = BusSettings(kind="memory", name=own, others={name: OtherBus(kind="memory") for name in others})
    bare = {"bus": bus, "election": ElectionSettings(kind="alone")}
    none = {"system": SystemSettings(), "traces": TracesSettings(), "events": EventSettings(), "gateway": GatewaySettings()}
    return settings.model_copy(update=bare | none).filled({})


def _places(references: list[Reference], name: str) -> str:
    return ", ".join(dict.fromkeys(".".join(each.place) for each in references if each.name == name))
