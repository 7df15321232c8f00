"""The function of `control` behind each operation of REST, by which it is decided who may call it.

What does not stand here is refused, so a path that somebody adds and forgets here is closed.
"""

from __future__ import annotations

_SAGA = "/v1/sagas/{saga_id}"
_SCHEDULE = "/v1/schedules/{name}"
_WEBHOOK = "/v1/webhooks/{name}"
_DEFINITION = "/v1/definitions/{name}"
_EXECUTION = "/v1/flows/{name}/executions/{saga_id}"

FUNCTIONS: dict[str, str] = {
    "POST /v1/sagas/{saga}": "sagas.starting.start",
    "GET /v1/sagas/{saga}": "sagas.queries.saga_status",
    "GET /v1/sagas": "sagas.queries.list_sagas",
    f"GET {_SAGA}/diagram": "diagrams.drawing.saga_diagram",
    f"GET {_SAGA}/history": "sagas.queries.history",
    f"POST {_SAGA}/restart/preview": "sagas.requests.preview_restart",
    f"GET {_SAGA}/events": "watching.streaming.stream",
    "GET /v1/events": "watching.everything.watch_all",
    f"POST {_SAGA}/signals/{{name}}": "sagas.signals.signal",
    f"POST {_SAGA}/steps/{{step}}/approve": "sagas.signals.approve",
    "POST /v1/outcomes": "sagas.signals.report",
    "POST /v1/dataflows/{name}/runs": "dataflows.runs.run",
    "POST /v1/requests": "sagas.bulk.bulk",
    f"PUT {_DEFINITION}": "definitions.versions.register",
    f"GET {_DEFINITION}": "definitions.versions.versions_of",
    "GET /v1/definitions": "definitions.versions.list_definitions",
    f"GET {_DEFINITION}/{{version}}": "definitions.versions.definition",
    f"POST {_DEFINITION}/{{version}}/activate": "definitions.versions.activate",
    f"POST {_DEFINITION}/active/unpin": "definitions.versions.unpin",
    f"GET {_DEFINITION}/{{version}}/diff": "definitions.comparing.diff",
    f"GET {_DEFINITION}/{{version}}/diagram": "diagrams.drawing.diagram",
    f"GET {_DEFINITION}/{{version}}/text": "diagrams.texts.text",
    "GET /v1/definition-schema": "definitions.json_schema.definition_schema",
    "GET /v1/schedules": "schedules.requests.list_schedules",
    f"POST {_SCHEDULE}": "schedules.requests.create",
    f"PUT {_SCHEDULE}": "schedules.requests.replace_schedule",
    f"GET {_SCHEDULE}": "schedules.requests.schedule_detail",
    f"DELETE {_SCHEDULE}": "schedules.requests.delete",
    f"POST {_SCHEDULE}/pause": "schedules.requests.pause",
    f"POST {_SCHEDULE}/resume": "schedules.requests.resume",
    f"POST {_SCHEDULE}/fire": "schedules.requests.fire",
    "GET /v1/webhooks": "webhooks.requests.list_webhooks",
    f"POST {_WEBHOOK}": "webhooks.requests.create",
    f"PUT {_WEBHOOK}": "webhooks.requests.replace_webhook",
    f"GET {_WEBHOOK}": "webhooks.requests.webhook_detail",
    f"DELETE {_WEBHOOK}": "webhooks.requests.delete",
    f"POST {_WEBHOOK}/pause": "webhooks.requests.pause",
    f"POST {_WEBHOOK}/resume": "webhooks.requests.resume",
    f"POST {_WEBHOOK}/rotate": "webhooks.requests.rotate",
    f"POST {_WEBHOOK}/test": "webhooks.queues.send_test",
    f"GET {_WEBHOOK}/dead-letters": "webhooks.queues.dead_letters",
    f"POST {_WEBHOOK}/redrive": "webhooks.queues.redrive",
    "POST /flow": "definitions.versions.register",
    "POST /flow/execute": "sagas.starting.start",
    "POST /flow/{saga_id}/events/{event}": "sagas.signals.signal",
    "GET /v1/flows/{name}": "flows.editing.lookup",
    "PATCH /v1/flows/{name}": "flows.editing.change_flow",
    "GET /v1/flows/{name}/steps/{step}": "flows.editing.lookup_step",
    "PUT /v1/flows/{name}/steps/{step}": "flows.editing.replace_step",
    "DELETE /v1/flows/{name}/steps/{step}": "flows.editing.delete_step",
    "POST /v1/flows/{name}/steps": "flows.editing.create_step",
    "POST /v1/flows/{name}/executions": "flows.executing.execute",
    f"GET {_EXECUTION}": "flows.executing.execution",
    f"GET {_EXECUTION}/steps/{{step}}": "flows.executing.step_result",
    f"POST {_EXECUTION}/pause": "flows.executing.request",
    f"POST {_EXECUTION}/resume": "flows.executing.request",
    f"POST {_EXECUTION}/abort": "flows.executing.request",
    f"POST {_EXECUTION}/stop": "flows.executing.stop",
    "GET /v1/participants": "installation.participants.participants",
    "POST /v1/workers": "installation.workers.join",
    "POST /v1/workers/{session}/poll": "installation.workers.known_session",
    "DELETE /v1/workers/{session}": "installation.workers.known_session",
    "GET /v1/locks": "installation.locks.locks",
    "GET /v1/leader": "installation.participants.leader",
    "GET /v1/dead-letters": "installation.dead_letters.dead_letters",
    "POST /v1/dead-letters/{letter_id}/redrive": "installation.dead_letters.redrive",
    "DELETE /v1/dead-letters/{letter_id}": "installation.dead_letters.drop",
    "GET /v1/bus": "installation.changes.present",
    "POST /v1/bus/migrate": "installation.changes.change",
    "GET /v1/election": "installation.changes.present",
    "POST /v1/election/migrate": "installation.changes.change",
    "GET /v1/keys": "authority.keys.list_keys",
    "POST /v1/keys": "authority.keys.create_key",
    "DELETE /v1/keys/{key_id}": "authority.keys.revoke_key",
    "GET /v1/secrets": "secrets.keeping.list_secrets",
    "PUT /v1/secrets/{name}": "secrets.keeping.set_secret",
    "DELETE /v1/secrets/{name}": "secrets.keeping.delete_secret",
    "POST /v1/keyring/rewrap": "secrets.keeping.rewrap_secrets",
    "GET /v1/keyring/verification": "secrets.keeping.verify_secrets",
    "GET /v1/audit": "audit.reading.entries",
    "GET /v1/audit/proof": "audit.reading.verify",
    "GET /metrics": "installation.participants.participants",
}
"""By method and template. The requests of the catalogue come beside them: see :func:`function_of`."""


def function_of(method: str, template: str, tags: tuple[str, ...] = ()) -> str | None:
    """Return the function behind an operation; None where nobody has said which it is.

    Args:
        method: of HTTP.
        template: the path, with its parameters in braces.
        tags: those of the route. A request about a saga has ``operations``.
    """
    if method == "POST" and template.startswith(f"{_SAGA}/") and "operations" in tags:
        return "sagas.requests.ask"
    return FUNCTIONS.get(f"{method} {template}")
