"""A saga's graph as SVG. It has no script, font or style sheet, so any content policy allows it.

The layout is the simplest form of Sugiyama's (Sugiyama, Tagawa, Toda 1981). Each step is in the layer of its longest path from
the start. An edge over several layers passes through a place of its own in each of them, so that no step lies on it. The order
within a layer follows the mean place of the neighbours above, then of those below, a few times over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias
from xml.sax.saxutils import escape

from goconductor.control.models import StepStatus
from goconductor.control.wording import spell, undone_by
from goconductor.saga.definition import Step, StepRole
from goconductor.saga.plan import Plan

STEPS_MAX = 300
"""Steps in an SVG. A diagram of more steps cannot be read, and takes long to lay out."""

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 58, 28, 46, 20
PASSAGE_WIDTH = 14
"""Width of an edge that passes a layer, in pixels."""
SWEEPS = 4
"""Number of passes over the layers that reduce crossings."""
_CHARACTERS = 26
"""Number of characters of a label before it is cut."""
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#64748b"/></marker></defs>'
)

FILLS: dict[StepStatus | StepRole, tuple[str, str]] = {
    StepRole.COMPENSATABLE: ("#eef2f7", "#64748b"),
    StepRole.PIVOT: ("#fef3c7", "#b45309"),
    StepRole.RETRIABLE: ("#ecfdf5", "#0f766e"),
    StepStatus.PENDING: ("#f8fafc", "#cbd5e1"),
    StepStatus.QUEUED: ("#e0f2fe", "#7dd3fc"),
    StepStatus.RUNNING: ("#bae6fd", "#0284c7"),
    StepStatus.WAITING: ("#f1f5f9", "#94a3b8"),
    StepStatus.SUCCEEDED: ("#dcfce7", "#16a34a"),
    StepStatus.FAILED: ("#fee2e2", "#dc2626"),
    StepStatus.UNKNOWN: ("#fef9c3", "#ca8a04"),
    StepStatus.SKIPPED: ("#f8fafc", "#94a3b8"),
    StepStatus.GIVEN_UP: ("#fafaf9", "#a8a29e"),
    StepStatus.COMPENSATING: ("#ffedd5", "#ea580c"),
    StepStatus.COMPENSATED: ("#fed7aa", "#c2410c"),
    StepStatus.STUCK: ("#fecaca", "#991b1b"),
}
"""Colours of a step, inside and border: by its status, or by its role where there is no status."""

_Place: TypeAlias = str | tuple[str, str]
"""A step; or, in a layer between them, the edge of two."""
_UNWRITABLE = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def svg(plan: Plan, statuses: Mapping[str, StepStatus] | None = None) -> str:
    """Draw a plan as an SVG document.

    Args:
        plan: a compiled definition of at most :data:`STEPS_MAX` steps.
        statuses: the status of each step; without it the colours show the roles of steps.
    """
    layers = _ordered(plan, _layers(plan))
    spans = [sum(_width(place) + GAP_X for place in layer) - GAP_X for layer in layers]
    total = max(spans) + 2 * MARGIN
    at: dict[tuple[_Place, int], tuple[float, float]] = {}
    for depth, (layer, span) in enumerate(zip(layers, spans, strict=True)):
        x = (total - span) / 2
        for place in layer:
            at[place, depth] = (x + _width(place) / 2, MARGIN + depth * (HEIGHT + GAP_Y))
            x += _width(place) + GAP_X
    depths = {place: depth for depth, layer in enumerate(layers) for place in layer if isinstance(place, str)}
    height = 2 * MARGIN + len(layers) * (HEIGHT + GAP_Y) - GAP_Y
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:g} {height}" width="{total:g}" height="{height}" '
            f'font-family="system-ui, sans-serif" role="img"><title>{_text(plan.name)}</title>'
        ),
        _TIP,
        *(_edge(before, step, depths, at) for step in plan.order for before in plan.predecessors[step]),
        *(part for step in plan.order for part in _step(plan, step, at[step, depths[step]], statuses)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _layers(plan: Plan) -> list[list[_Place]]:
    depth: dict[str, int] = {}
    for step in plan.order:
        depth[step] = max((depth[before] + 1 for before in plan.predecessors[step]), default=0)
    layers: list[list[_Place]] = [[] for _ in range(max(depth.values()) + 1)]
    for step in plan.order:
        layers[depth[step]].append(step)
        for before in plan.predecessors[step]:
            for between in range(depth[before] + 1, depth[step]):
                layers[between].append((before, step))
    return layers


def _ordered(plan: Plan, layers: list[list[_Place]]) -> list[list[_Place]]:
    for turn in range(SWEEPS):
        down = turn % 2 == 0
        indexes = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for index in indexes:
            beside = {place: number for number, place in enumerate(layers[index - 1 if down else index + 1])}
            places = {place: number for number, place in enumerate(layers[index])}
            means = {place: _mean(_neighbours(plan, place, down=down), beside, places[place]) for place in places}
            layers[index].sort(key=lambda place, means=means: means[place])  # type: ignore[misc]
    return layers


def _neighbours(plan: Plan, place: _Place, *, down: bool) -> Iterator[_Place]:
    """Yield the neighbours one layer above (or below): steps that are there, and edges that pass through."""
    if isinstance(place, tuple):
        yield place
        yield place[0] if down else place[1]
        return
    for other in plan.predecessors[place] if down else plan.successors[place]:
        yield other
        yield (other, place) if down else (place, other)


def _mean(neighbours: Iterator[_Place], beside: Mapping[_Place, int], otherwise: int) -> float:
    there = [beside[place] for place in neighbours if place in beside]
    return sum(there) / len(there) if there else float(otherwise)


def _width(place: _Place) -> int:
    return WIDTH if isinstance(place, str) else PASSAGE_WIDTH


def _edge(before: str, step: str, depths: Mapping[str, int], at: Mapping[tuple[_Place, int], tuple[float, float]]) -> str:
    x, y = at[before, depths[before]]
    path = [f"M{x:.0f} {y + HEIGHT:.0f}"]
    y += HEIGHT
    for depth in range(depths[before] + 1, depths[step] + 1):
        last = depth == depths[step]
        to_x, top = at[step if last else (before, step), depth]
        middle = (y + top) / 2
        path.append(f"C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {top:.0f}")
        if not last:
            path.append(f"L{to_x:.0f} {top + HEIGHT:.0f}")
        x, y = to_x, top + HEIGHT
    return f'<path d="{"".join(path)}" fill="none" stroke="#64748b" stroke-width="1.3" marker-end="url(#tip)"/>'


def _step(plan: Plan, name: str, at: tuple[float, float], statuses: Mapping[str, StepStatus] | None) -> Iterator[str]:
    x, y = at
    step, role = plan.steps[name], plan.roles[name]
    status = statuses.get(name) if statuses is not None else None
    inside, border = FILLS[status or role]
    radius = {StepRole.COMPENSATABLE: 6, StepRole.PIVOT: 0, StepRole.RETRIABLE: HEIGHT // 2}[role]
    dashes = ' stroke-dasharray="5 3"' if step.when is not None or name in plan.stands_for else ""
    strength = 3 if role is StepRole.PIVOT else 1.5
    title = [name, spelt(step), role.value, *remarks(plan, name), *([status.value] if status else [])]
    yield f"<g><title>{_text(', '.join(title))}</title>"
    yield (
        f'<rect x="{x - WIDTH / 2:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="{radius}" '
        f'fill="{inside}" stroke="{border}" stroke-width="{strength}"{dashes}/>'
    )
    lines = (
        (name, 13, "#0f172a", "600"),
        (spelt(step), 11, "#475569", "400"),
        (status.value if status else (remarks(plan, name) or [role.value])[0], 10, border, "400"),
    )
    for number, (words, size, colour, weight) in enumerate(lines):
        yield (
            f'<text x="{x:.0f}" y="{y + 18 + number * 15:.0f}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
            f'text-anchor="middle">{_text(_short(words))}</text>'
        )
    yield "</g>"


def spelt(step: Step) -> str:
    """Return what a step does, in words: its code, or what it waits for."""
    if step.wait is not None:
        return f"waits for {step.wait.event}" if step.wait.approval is None else "waits for approval"
    if step.value is not None:
        return f"= {step.value}"
    if step.saga is not None:
        return "a saga that is written inside" if step.saga.steps else f"saga {step.saga.name}"
    if step.map is not None:
        enough = {"all": "", "any": ", one is enough"}.get(str(step.map.join), f", {step.map.join} are enough")
        beside = "" if step.map.concurrency is None else f", {step.map.concurrency} at a time"
        return f"for each of {step.map.over}{enough}{beside}"
    if step.repeat is not None:
        apart = "" if step.repeat.delay_seconds is None else f", {spell(step.repeat.delay_seconds)} apart"
        return f"until {step.repeat.until}, at most {step.repeat.max:,} turns{apart}"
    if step.savepoint is not None:
        return f"tries {', then '.join(step.savepoint.ways)}"
    if step.delay is None:
        return step.run
    return f"until {step.delay.until}" if step.delay.until is not None else f"waits {spell(step.delay.seconds or 0.0)}"


def remarks(plan: Plan, name: str) -> list[str]:
    """Return what is said of a step below its name: when it runs, and whether it may fail."""
    step, first = plan.steps[name], plan.stands_for.get(name)
    return [
        *([f"in place of {first}"] if first is not None else []),
        *([f"when {step.when}"] if step.when else []),
        *(["may fail"] if step.allow_fail else []),
        *([undone_by(plan.undoes[name])] if name in plan.undoes else []),
    ]


def _short(words: str) -> str:
    return words if len(words) <= _CHARACTERS else f"{words[: _CHARACTERS - 1]}…"


def _text(words: str) -> str:
    """Escape text for XML, and replace the characters that XML does not allow."""
    return escape(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", words))
