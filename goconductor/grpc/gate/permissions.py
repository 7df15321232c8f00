"""The function of `control` behind each method, by which it is decided who may call it. What does not stand here is refused."""

from __future__ import annotations

_SAGAS = "goconductor.v1.Sagas"
_DEFINITIONS = "goconductor.v1.Definitions"
_SCHEDULES = "goconductor.v1.Schedules"
_WEBHOOKS = "goconductor.v1.Webhooks"
_OPERATIONS = "goconductor.v1.Operations"
_FLOWS = "goconductor.v1.Flows"

FUNCTIONS: dict[str, str] = {
    f"{_SAGAS}.StartSaga": "sagas.starting.start",
    f"{_SAGAS}.StartSagas": "sagas.starting.start",
    f"{_SAGAS}.GetSaga": "sagas.queries.saga_status",
    f"{_SAGAS}.FindSaga": "sagas.queries.saga_of_key",
    f"{_SAGAS}.GetResult": "sagas.queries.saga_status",
    f"{_SAGAS}.ListSagas": "sagas.queries.list_sagas",
    f"{_SAGAS}.GetHistory": "sagas.queries.history",
    f"{_SAGAS}.WatchSaga": "watching.streaming.stream",
    f"{_SAGAS}.WatchAll": "watching.everything.watch_all",
    f"{_SAGAS}.PreviewRestart": "sagas.requests.preview_restart",
    f"{_SAGAS}.GetSagaDiagram": "diagrams.drawing.saga_diagram",
    f"{_SAGAS}.Signal": "sagas.signals.signal",
    f"{_SAGAS}.Approve": "sagas.signals.approve",
    **dict.fromkeys(
        (
            f"{_SAGAS}.{name}"
            for name in (
                *("Pause", "Resume", "Abort", "Restart", "RestartAsNew", "Terminate"),
                *("DropSignal", "Retry", "Skip", "Declare", "EditInput", "Migrate"),
            )
        ),
        "sagas.requests.ask",
    ),
    f"{_SAGAS}.Report": "sagas.signals.report",
    f"{_SAGAS}.AskInBulk": "sagas.bulk.bulk",
    f"{_DEFINITIONS}.PutDefinition": "definitions.versions.register",
    f"{_DEFINITIONS}.CheckDefinition": "definitions.loading.read",
    f"{_DEFINITIONS}.ListDefinitions": "definitions.versions.list_definitions",
    f"{_DEFINITIONS}.ListVersions": "definitions.versions.versions_of",
    f"{_DEFINITIONS}.GetDefinition": "definitions.versions.definition",
    f"{_DEFINITIONS}.ActivateVersion": "definitions.versions.activate",
    f"{_DEFINITIONS}.Unpin": "definitions.versions.unpin",
    f"{_DEFINITIONS}.GetDiff": "definitions.comparing.diff",
    f"{_DEFINITIONS}.GetDefinitionDiagram": "diagrams.drawing.diagram",
    f"{_DEFINITIONS}.GetDefinitionText": "diagrams.texts.text",
    f"{_DEFINITIONS}.GetDefinitionSchema": "definitions.json_schema.definition_schema",
    f"{_SCHEDULES}.CreateSchedule": "schedules.requests.create",
    f"{_SCHEDULES}.ReplaceSchedule": "schedules.requests.replace_schedule",
    f"{_SCHEDULES}.GetSchedule": "schedules.requests.schedule_detail",
    f"{_SCHEDULES}.ListSchedules": "schedules.requests.list_schedules",
    f"{_SCHEDULES}.DeleteSchedule": "schedules.requests.delete",
    f"{_SCHEDULES}.PauseSchedule": "schedules.requests.pause",
    f"{_SCHEDULES}.ResumeSchedule": "schedules.requests.resume",
    f"{_SCHEDULES}.FireSchedule": "schedules.requests.fire",
    f"{_WEBHOOKS}.CreateWebhook": "webhooks.requests.create",
    f"{_WEBHOOKS}.ReplaceWebhook": "webhooks.requests.replace_webhook",
    f"{_WEBHOOKS}.GetWebhook": "webhooks.requests.webhook_detail",
    f"{_WEBHOOKS}.ListWebhooks": "webhooks.requests.list_webhooks",
    f"{_WEBHOOKS}.DeleteWebhook": "webhooks.requests.delete",
    f"{_WEBHOOKS}.PauseWebhook": "webhooks.requests.pause",
    f"{_WEBHOOKS}.ResumeWebhook": "webhooks.requests.resume",
    f"{_WEBHOOKS}.RotateWebhook": "webhooks.requests.rotate",
    f"{_WEBHOOKS}.TestWebhook": "webhooks.queues.send_test",
    f"{_WEBHOOKS}.ListWebhookDeadLetters": "webhooks.queues.dead_letters",
    f"{_WEBHOOKS}.RedriveWebhook": "webhooks.queues.redrive",
    "goconductor.v1.Dataflows.Run": "dataflows.runs.run",
    f"{_FLOWS}.GetFlow": "flows.editing.lookup",
    f"{_FLOWS}.GetStep": "flows.editing.lookup_step",
    f"{_FLOWS}.CreateStep": "flows.editing.create_step",
    f"{_FLOWS}.ReplaceStep": "flows.editing.replace_step",
    f"{_FLOWS}.DeleteStep": "flows.editing.delete_step",
    f"{_FLOWS}.ChangeFlow": "flows.editing.change_flow",
    f"{_FLOWS}.Execute": "flows.executing.execute",
    f"{_FLOWS}.GetExecution": "flows.executing.execution",
    f"{_FLOWS}.GetStepResult": "flows.executing.step_result",
    f"{_FLOWS}.PauseExecution": "flows.executing.request",
    f"{_FLOWS}.ResumeExecution": "flows.executing.request",
    f"{_FLOWS}.AbortExecution": "flows.executing.request",
    f"{_FLOWS}.StopExecution": "flows.executing.stop",
    f"{_OPERATIONS}.GetReadiness": "installation.readiness.readiness",
    f"{_OPERATIONS}.ListParticipants": "installation.participants.participants",
    f"{_OPERATIONS}.GetLeader": "installation.participants.leader",
    f"{_OPERATIONS}.ListLocks": "installation.locks.locks",
    f"{_OPERATIONS}.ListDeadLetters": "installation.dead_letters.dead_letters",
    f"{_OPERATIONS}.RedriveDeadLetter": "installation.dead_letters.redrive",
    f"{_OPERATIONS}.DropDeadLetter": "installation.dead_letters.drop",
    f"{_OPERATIONS}.ListAudit": "audit.reading.entries",
    f"{_OPERATIONS}.VerifyAudit": "audit.reading.verify",
    f"{_OPERATIONS}.GetChoice": "installation.changes.present",
    f"{_OPERATIONS}.Migrate": "installation.changes.change",
    "goconductor.v1.Keys.CreateKey": "authority.keys.create_key",
    "goconductor.v1.Keys.ListKeys": "authority.keys.list_keys",
    "goconductor.v1.Keys.RevokeKey": "authority.keys.revoke_key",
    "goconductor.v1.Secrets.SetSecret": "secrets.keeping.set_secret",
    "goconductor.v1.Secrets.ListSecrets": "secrets.keeping.list_secrets",
    "goconductor.v1.Secrets.DeleteSecret": "secrets.keeping.delete_secret",
    "goconductor.v1.Secrets.RewrapSecrets": "secrets.keeping.rewrap_secrets",
    "goconductor.v1.Secrets.VerifySecrets": "secrets.keeping.verify_secrets",
    "goconductor.v1.Workers.Work": "installation.workers.join",
    # reflection shows what there is, as the document of REST does
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": "definitions.json_schema.definition_schema",
}
"""By the method's full name."""
OPEN = frozenset({"grpc.health.v1.Health.Check", "grpc.health.v1.Health.Watch"})
"""Methods without a question: probes have no key."""
