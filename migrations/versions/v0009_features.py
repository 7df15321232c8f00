"""Features: a definition names those that it uses, an instance those that its code knows.

What is there uses none, unless newer code was here before and the tables were taken back since: the documents say it. The code
before says nothing of itself, so it counts as knowing none; it works on these tables.
"""

from __future__ import annotations

from itertools import product

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("definitions", "participants")
MAPS_DEEP = 3
STEPS = " UNION ALL ".join(
    f"SELECT jsonb_path_query(document::jsonb, '$.steps[*]{''.join(way)}')"
    for deep in range(MAPS_DEEP + 1)
    for way in product((".map.do[*]", ".repeat.do[*]"), repeat=deep)
)
"""All steps of a document, those of the maps and repeats in it included."""
USES = {
    "delay": "step -> 'delay' IS NOT NULL",
    "wait": "step -> 'wait' IS NOT NULL",
    "value": "step -> 'value' IS NOT NULL",
    "value_inputs": "step -> 'value' IS NOT NULL AND step -> 'inputs' IS NOT NULL",
    "optional_reference": "jsonb_path_exists(step, '$.inputs.*.optional') OR jsonb_path_exists(step, '$.undo.inputs.*.optional')",
    "declared_undo": "step -> 'undo' IS NOT NULL",
    "undo_wait": "step #> '{undo,wait}' IS NOT NULL",
    "undo_saga": "step #> '{undo,saga}' IS NOT NULL",
    "map": "step -> 'map' IS NOT NULL",
    "join": "step #> '{map,join}' IS NOT NULL",
    "concurrency": "step #> '{map,concurrency}' IS NOT NULL",
    "tolerated_map": "step -> 'map' IS NOT NULL AND (step -> 'allow_fail' IS NOT NULL OR step -> 'fallback' IS NOT NULL)",
    "declared_undo_in_map": "jsonb_path_exists(step, '$.map.do[*].undo ? (@.type() == \"object\")')",
    "repeat": "step -> 'repeat' IS NOT NULL",
    "saga": "step -> 'saga' IS NOT NULL",
    "saga_inside": "step #> '{saga,steps}' IS NOT NULL OR strpos(document::jsonb ->> 'name', ':') > 0",
    "savepoint": "step -> 'savepoint' IS NOT NULL",
    "undone_saga_inside": "jsonb_path_exists(step, '$.*.do[*] ? (exists(@.saga) && @.undo.type() == \"object\")')",
    "held_saga": "step #> '{saga,held}' IS NOT NULL",
    "locks": "step -> 'locks' IS NOT NULL OR document::jsonb -> 'locks' IS NOT NULL",
    "default_priority": "document::jsonb -> 'priority' IS NOT NULL",
    "dotted_id": "strpos(step ->> 'id', '.') > 0",
    "grouped_growth": f"""
        jsonb_path_exists(document::jsonb, '$.steps[*] ? (exists (@.map) || exists (@.repeat))')
        AND EXISTS (SELECT FROM ({STEPS}) AS every (one) WHERE strpos(one ->> 'id', '.') > 0)
    """,
    "tolerated_failure": "step -> 'allow_fail' IS NOT NULL OR step -> 'fallback' IS NOT NULL",
    "total_timeout": "step -> 'total_timeout_seconds' IS NOT NULL",
    "retry_on": " OR ".join(
        f"step #> '{{{policy},{field}}}' IS NOT NULL" for policy in ("retry", "compensation_retry") for field in ("on", "not_on")
    ),
}
"""The features, each with how a step of a document shows that it uses it; defaults do not stand in documents."""


def upgrade() -> None:
    """Add the columns, which writes no row anew but those of definitions that use a feature."""
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN features text[] NOT NULL DEFAULT '{{}}'")
    uses = " UNION ALL ".join(f"SELECT '{feature}' WHERE {use}" for feature, use in USES.items())
    op.execute(
        f"""
        UPDATE definitions AS d SET features = found.features FROM (
            SELECT namespace, saga, version, array_agg(DISTINCT feature ORDER BY feature) AS features
            FROM definitions, LATERAL ({STEPS}) AS steps (step), LATERAL ({uses}) AS used (feature)
            GROUP BY namespace, saga, version
        ) AS found
        WHERE (d.namespace, d.saga, d.version) = (found.namespace, found.saga, found.version)
        """  # noqa: S608  (our own words)
    )


def downgrade() -> None:
    """Take the columns away. The code before refuses to read a definition that uses what it does not know."""
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN features")
