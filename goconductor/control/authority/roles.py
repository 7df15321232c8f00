"""Who may do what. Every function that a door calls for somebody needs one permission; a role gives some.

The unit is the function of `control` and not a door's path, so that two doors cannot disagree. A door names the function behind
each of its operations, and what is in no table is refused (*default deny*): a path that somebody adds and forgets here is closed,
not open. Where a door asks for no authentication, an actor's roles are unknown, and nothing is refused.
"""

from __future__ import annotations

from enum import StrEnum

from goconductor.control.actor import Actor
from goconductor.control.roles import BOUND, Role
from goconductor.errors import GoConductorError
from goconductor.redaction import logger_of

logger = logger_of("goconductor.control")


class ForbiddenError(GoConductorError):
    """This actor may not do this; ask for a key or a token with another role."""


class Permission(StrEnum):
    """What a role gives."""

    READ = "read"
    OPERATE = "operate"
    """Start sagas, and ask something of them."""
    DEPLOY = "deploy"
    """Change which definitions there are: what sagas do."""
    ADMINISTER = "administer"
    """Change what runs sagas, and who may do what."""
    WORK = "work"
    """Run steps as a remote worker, with the inputs of whatever sagas ask for them."""


GIVES: dict[str, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.OPERATOR: frozenset({Permission.READ, Permission.OPERATE}),
    Role.DEPLOYER: frozenset({Permission.READ, Permission.DEPLOY}),
    Role.ADMIN: frozenset(Permission),
    Role.WORKER: frozenset({Permission.WORK}),
}

NEEDS: dict[str, Permission] = {
    **dict.fromkeys(
        (
            "definitions.comparing.diff",
            "definitions.loading.read",
            "definitions.json_schema.definition_schema",
            "definitions.versions.definition",
            "definitions.versions.list_definitions",
            "definitions.versions.versions_of",
            "diagrams.drawing.diagram",
            "diagrams.drawing.saga_diagram",
            "diagrams.texts.text",
            "doors.suggestions.definition_names",
            "doors.suggestions.definition_versions",
            "doors.suggestions.newest_sagas",
            "doors.suggestions.step_names",
            "flows.editing.lookup",
            "flows.editing.lookup_step",
            "flows.executing.checked",
            "flows.executing.execution",
            "flows.executing.step_result",
            "installation.changes.present",
            "installation.dead_letters.dead_letters",
            "installation.locks.locks",
            "installation.participants.leader",
            "installation.participants.participants",
            "installation.readiness.readiness",
            "sagas.bulk.select",
            "sagas.queries.history",
            "sagas.requests.preview_restart",
            "sagas.queries.list_sagas",
            "sagas.queries.saga_of_key",
            "sagas.queries.saga_status",
            "sagas.story.catch_up",
            "sagas.story.saga_story",
            "sagas.story.story_builder",
            "watching.streaming.stream",
            "watching.changes.changes",
            "watching.everything.watch_all",
            "schedules.requests.list_schedules",
            "schedules.requests.schedule_detail",
        ),
        Permission.READ,
    ),
    **dict.fromkeys(
        (
            "dataflows.runs.run",
            "flows.executing.execute",
            "flows.executing.request",
            "flows.executing.stop",
            "installation.dead_letters.drop",
            "installation.dead_letters.redrive",
            "sagas.bulk.bulk",
            "sagas.requests.ask",
            "sagas.signals.approve",
            "sagas.signals.report",
            "sagas.signals.signal",
            "sagas.starting.start",
            "schedules.requests.create",
            "schedules.requests.delete",
            "schedules.requests.fire",
            "schedules.requests.pause",
            "schedules.requests.replace_schedule",
            "schedules.requests.resume",
        ),
        Permission.OPERATE,
    ),
    **dict.fromkeys(
        (
            "definitions.versions.activate",
            "definitions.versions.register",
            "definitions.versions.unpin",
            "flows.editing.change_flow",
            "flows.editing.create_step",
            "flows.editing.delete_step",
            "flows.editing.replace_step",
            "webhooks.queues.dead_letters",
            "webhooks.queues.redrive",
            "webhooks.queues.send_test",
            "webhooks.requests.create",
            "webhooks.requests.delete",
            "webhooks.requests.list_webhooks",
            "webhooks.requests.pause",
            "webhooks.requests.replace_webhook",
            "webhooks.requests.resume",
            "webhooks.requests.rotate",
            "webhooks.requests.webhook_detail",
        ),
        Permission.DEPLOY,
    ),
    **dict.fromkeys(
        (
            "audit.reading.entries",
            "audit.reading.verify",
            "authority.keys.create_key",
            "authority.keys.list_keys",
            "authority.keys.revoke_key",
            "installation.changes.change",
            "secrets.keeping.delete_secret",
            "secrets.keeping.list_secrets",
            "secrets.keeping.rewrap_secrets",
            "secrets.keeping.set_secret",
            "secrets.keeping.verify_secrets",
        ),
        Permission.ADMINISTER,
    ),
    **dict.fromkeys(("installation.workers.join", "installation.workers.known_session"), Permission.WORK),
}
"""What each function needs, by its module below `control` and its name."""


def check_works_for(actor: Actor, participant: str) -> None:
    """Refuse a worker the steps of a participant that its roles are not for.

    Args:
        actor: who asks. Without any role nobody was asked who it is, and nothing is refused.
        participant: whose steps it would run.

    Raises:
        ForbiddenError: its roles are bound to others.
    """
    if actor.roles and not actor.roles & {Role.WORKER, Role.ADMIN, f"{BOUND}{participant}"}:
        logger.warning("%a was refused the steps of %a (roles: %s)", actor.name, participant, ", ".join(sorted(actor.roles)))
        raise ForbiddenError(f"{actor.name!a} may not run the steps of {participant!a}; it needs the role {BOUND}{participant}")


def check_permitted(actor: Actor, function: str | None) -> None:
    """Refuse what an actor may not do.

    Args:
        actor: who asks, authenticated.
        function: what would be called; None is not known.

    Raises:
        ForbiddenError: none of the actor's roles gives what it needs, or nobody has said what it needs.
    """
    needed = None if function is None else NEEDS.get(function)
    given = {each for role in actor.roles for each in GIVES.get(Role.WORKER if role.startswith(BOUND) else role, ())}
    if needed is None or needed not in given:
        roles = ", ".join(sorted(actor.roles)) or "none"
        wanted = sorted(role for role in GIVES if needed in GIVES[role]) if needed else []
        remedy = f"it needs one of: {', '.join(wanted)}" if wanted else "no role gives it"
        logger.warning("%a was refused %s (roles: %s)", actor.name, function or "what no table names", roles)
        raise ForbiddenError(f"{actor.name!a} may not do this (roles: {roles}); {remedy}")
