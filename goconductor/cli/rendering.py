"""Sagas on a terminal. The texts in a saga are foreign: their control characters are shown, never obeyed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from goconductor.control.audit.reading import AuditPage, AuditProof
from goconductor.control.authority.keys import KeyList
from goconductor.control.models import (
    ChangeDetail,
    DeadLetterPage,
    DefinitionSummary,
    LeaderDetail,
    LockPage,
    ParticipantDetail,
    SagaDetail,
    SagaPage,
    StepDetail,
    StepStatus,
)
from goconductor.control.sagas.bulk import BulkReport
from goconductor.control.sagas.story import Story
from goconductor.control.schedules.documents import FireDetail, ScheduleDetail, ScheduleList
from goconductor.control.secrets.keeping import SecretList
from goconductor.control.wording import spell
from goconductor.lifecycle.facts.status import SagaStatus

_MARKS: dict[StepStatus, tuple[str, str]] = {
    StepStatus.PENDING: ("·", "dim"),
    StepStatus.QUEUED: ("○", ""),
    StepStatus.RUNNING: ("●", "cyan"),
    StepStatus.WAITING: ("…", "dim"),
    StepStatus.SUCCEEDED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.UNKNOWN: ("?", "yellow"),
    StepStatus.SKIPPED: ("-", "dim"),
    StepStatus.GIVEN_UP: ("~", "yellow"),
    StepStatus.COMPENSATING: ("↺", "yellow"),
    StepStatus.COMPENSATED: ("↩", "yellow"),
    StepStatus.STUCK: ("!", "bold red"),
}


_STATUSES: dict[SagaStatus, str] = {
    SagaStatus.RUNNING: "bold cyan",
    SagaStatus.COMPLETED: "bold green",
    SagaStatus.HELD: "bold green",
    SagaStatus.COMPENSATING: "bold yellow",
    SagaStatus.COMPENSATED: "bold yellow",
    SagaStatus.STUCK: "bold red",
    SagaStatus.TERMINATING: "bold yellow",
}


def tree(detail: SagaDetail, took: Mapping[str, str] | None = None) -> Tree:
    """Draw a saga and its steps as a tree with the branches of its graph.

    Steps in a sequence stand below each other. Where several steps follow one, each of them begins a branch, and what follows
    that step alone is inside the branch. Where branches meet, the tree goes on outside of them.

    Args:
        detail: the saga.
        took: the duration of each step so far, in words.
    """
    head = Text(f"{detail.saga} {detail.saga_id} ").append(detail.status.value, _STATUSES.get(detail.status, "bold"))
    if detail.reason:
        head.append(f"  {plain(detail.reason)}", "dim")
    if detail.parent is not None:
        head.append(plain(f"  started by step {detail.parent.step} of saga {detail.parent.saga_id}"), "dim")
    if detail.restarted_from is not None:
        head.append(f"  restarted from saga {detail.restarted_from}", "dim")
    if detail.restarted_as is not None:
        head.append(f"  restarted as saga {detail.restarted_as}", "bold")
    if detail.rewinding:
        head.append(plain(f"  undoes and begins again: {', '.join(detail.rewinding)}"), "yellow")
    if detail.left_standing:
        head.append(plain(f"  effects left standing: {', '.join(detail.left_standing)}"), "yellow")
    drawn = Tree(head)
    follow = Counter(before for step in detail.steps for before in step.after)
    follow[""] = sum(not step.after for step in detail.steps)
    outside: dict[str, tuple[Tree, ...]] = {}
    inside: dict[str, tuple[Tree, ...]] = {}
    for step in detail.steps:
        path = _path(step, follow, outside, inside, drawn)
        mark, style = _MARKS[step.status]
        words = Text(f"{mark} ", style).append(line(step))
        if took and step.id in took:
            words.append(f"  {took[step.id]}", "dim")
        if len(step.after) > 1:
            words.append(plain(f"  after {', '.join(step.follows or step.after)}"), "dim")
        node = path[-1].add(words)
        begins_branch = follow[step.after[0] if step.after else ""] > 1 and len(step.after) < 2
        outside[step.id] = path
        inside[step.id] = (*path, node) if begins_branch or follow[step.id] > 1 else path
    return drawn


def _path(
    step: StepDetail,
    follow: Counter[str],
    outside: dict[str, tuple[Tree, ...]],
    inside: dict[str, tuple[Tree, ...]],
    root: Tree,
) -> tuple[Tree, ...]:
    """Return the nodes around a step, from the root on."""
    if not step.after:
        return (root,)
    if len(step.after) == 1:
        return inside[step.after[0]]
    paths = [outside[before] if follow[before] == 1 else inside[before] for before in step.after]
    shared = tuple(nodes[0] for nodes in zip(*paths, strict=False) if all(node is nodes[0] for node in nodes))
    return shared[:-1] or (root,)  # the last of them is where the branches part


def line(step: StepDetail) -> str:
    """Return one step in words."""
    return plain("  ".join(_words(step)))


def _words(step: StepDetail) -> Iterator[str]:
    yield f"{step.id}  {step.status.value}"
    if step.round:
        yield f"round {step.round}"
    if step.attempt > 1:
        yield f"attempt {step.attempt}"
    if step.owner:
        yield f"on {step.owner}"
    if step.started is not None:
        yield f"saga {step.saga} {step.started}"
    if step.reason:
        yield step.reason
    if step.waits_for is not None and step.waits_for.approval is not None:
        yield f"round {step.waits_for.round}"
    if step.error and step.error not in (step.reason or ""):
        yield step.error


def untaken(detail: SagaDetail) -> Iterator[Text]:
    """Yield the signals that no step has taken."""
    for signal in detail.signals:
        by = f" by {signal.by}" if signal.by else ""
        why = f": {signal.why}" if signal.why else ""
        what = f"approval of {signal.approves}" if signal.approves else f"signal {signal.name}"
        yield Text(plain(f"no step has taken {what} ({signal.id}) of {signal.at:%Y-%m-%d %H:%M:%S} UTC{by}{why}"), "dim")


def tracebacks(detail: SagaDetail) -> Iterator[Text]:
    """Yield the tracebacks of steps that failed, also of compensated ones; not of steps that succeeded later."""
    for step in detail.steps:
        if step.traceback and step.status is not StepStatus.SUCCEEDED:
            yield Text(f"\n{plain(step.id)}:", "bold")
            yield from (Text(plain(each), "dim") for each in step.traceback.splitlines())


def story(found: Story) -> Iterator[Text]:
    """Yield a saga's story: a line for each event and for each consequence."""
    head = Text(f"{found.saga} {found.saga_id} ").append(found.status.value if found.status else "unreadable", "bold")
    yield head if found.took_seconds is None else head.append(f", {spell(found.took_seconds)} after its start")
    width = max((len(spell(line.since_start_seconds)) for line in found.lines), default=0)
    for event in found.lines:
        when = f"{event.at:%Y-%m-%d %H:%M:%S}.{event.at.microsecond // 1000:03}Z"
        text = Text(f"{when}  +{spell(event.since_start_seconds):{width}}  ", "dim").append(plain(event.text), "default")
        yield text
        for clause in event.consequences:
            yield Text(plain(f"{'':{len(when) + width + 5}}→ {clause}"), "dim")
    for clause in found.waits:
        yield Text(f"now: {plain(clause)}", "yellow")


def columns(*titles: Column | str) -> Table:
    """Return a table without lines. A cell that is too long for the terminal goes on below, also in the middle of a word."""
    whole = [Column(each) if isinstance(each, str) else each for each in titles]
    for column in whole:
        column.overflow = "fold"
    return Table(*whole, box=None, pad_edge=False)


def table(page: SagaPage) -> Table:
    """Draw some sagas, one in a row."""
    drawn = columns(Column("saga id", no_wrap=True, min_width=36), "saga", "status", "started", "labels")
    for row in page.sagas:
        labels = " ".join(f"{name}={value}" for name, value in row.labels.items())
        cells = (str(row.saga_id), row.saga, row.status, moment(row.started_at), labels)
        drawn.add_row(*(Text(plain(cell)) for cell in cells))
    return drawn


def bulk(found: BulkReport) -> Table:
    """Draw what a request came to, a saga in a row."""
    drawn = columns(Column("saga id", no_wrap=True, min_width=36), "outcome", "status", "steps", "why")
    for each in found.sagas:
        cells = (str(each.saga_id), each.outcome.replace("_", " "), each.status or "", " ".join(each.steps), each.problem or "")
        drawn.add_row(*(Text(plain(cell)) for cell in cells))
    return drawn


def participant(found: ParticipantDetail) -> Tree:
    """Draw a participant with its instances."""
    drawn = Tree(
        Text(plain(found.participant), "bold").append(f"  {found.alive} living  {', '.join(found.steps)}".rstrip(), "not bold")
    )
    for each in found.instances:
        words = f"{each.name}  since {moment(each.started_at)}"
        if each.leases:
            words += f"  runs {each.leases}"
        if each.dead_at is not None:
            words += f"  left or died {moment(each.dead_at)}"
        elif not each.alive:
            words += "  has lost its sign of life"
        mark, style = ("●", "green") if each.alive else ("✗", "red")
        drawn.add(Text(f"{mark} ", style).append(plain(words), "default" if each.alive else "dim"))
    return drawn


def leader(found: LeaderDetail, now: datetime) -> Iterator[str]:
    """Yield a few lines about the leader."""
    if found.holder is None:
        yield "nobody leads: run a participant or `goconductor serve`"
    else:
        until = "" if found.ends_at is None else f", for {spell(max(0.0, (found.ends_at - now).total_seconds()))} yet"
        yield f"{found.holder} leads in epoch {found.epoch}{until}"
    if (sweep := found.last_sweep) is not None:
        did = ", ".join(f"{name} {count}" for name, count in sorted(sweep.did.items()))
        ago = spell(max(0.0, (now - sweep.at).total_seconds()))
        yield f"last sweep noted {ago} ago in epoch {sweep.epoch}: {did or 'nothing'}"


def change(found: ChangeDetail, *, instances: bool) -> Iterator[str]:
    """Yield which bus or election is used, how far its change is, and with ``instances`` what each process reports."""
    beside = f", {found.beside} beside it" if found.beside else ""
    since = "" if found.since is None else f" since {moment(found.since)}"
    asked = f", asked for by {found.by}" if found.by else ""
    yield f"{found.chosen or 'several'}{beside}: {found.phase}{since} (change {found.number}{asked})"
    for each in found.instances if instances else ():
        problem = f": {each.problem}" if each.problem else ""
        yield f"  {each.participant} {each.serial} uses {each.uses}, names {', '.join(each.names)}{problem}"
    for each_waited in found.waits_for if instances else ():
        yield f"  waits: {each_waited}"


def letters(page: DeadLetterPage) -> Table:
    """Draw some dead letters, one in a row."""
    drawn = columns("id", "at", "topic", "bytes", "saga", "reason")
    for each in page.letters:
        cells = (str(each.letter_id), moment(each.at), each.topic, str(each.bytes), str(each.saga_id or ""), each.reason)
        drawn.add_row(*(Text(plain(cell)) for cell in cells))
    return drawn


def keys(found: KeyList) -> Table:
    """Draw API keys, one in a row."""
    drawn = columns("id", "name", "roles", "made", "by", "until")
    for each in found.keys:
        over = "never over" if each.expires_at is None else moment(each.expires_at)
        until = over if each.revoked_at is None else f"revoked {moment(each.revoked_at)} by {each.revoked_by or 'somebody'}"
        cells = (each.key_id, each.name, ", ".join(each.roles), moment(each.created_at), each.created_by, until)
        drawn.add_row(*(Text(plain(cell)) for cell in cells))
    return drawn


def secrets(found: SecretList) -> Table:
    """Draw secrets, one in a row."""
    drawn = columns("name", "version", "set", "by", "wrapping key")
    for each in found.secrets:
        cells = (each.name, str(each.version), moment(each.created_at), each.created_by, each.key_id)
        drawn.add_row(*(Text(plain(cell)) for cell in cells))
    return drawn


def audit(page: AuditPage) -> Table:
    """Draw some rows of the audit log."""
    drawn = columns("id", "at", "who", "from", "what", "about", "outcome")
    for each in page.entries:
        who = f"{each.actor or 'somebody'}{f' ({each.means})' if each.means else ''}"
        outcome = f"{each.outcome}{f': {each.problem}' if each.problem else ''}"
        outcome += f" ({each.left_out:,} before it were left out)" if each.left_out else ""
        where = f"{each.door} {each.address}".strip()
        what = f"{each.function} {each.detail}".strip()
        drawn.add_row(*(Text(plain(cell)) for cell in (str(each.id), moment(each.at), who, where, what, each.object, outcome)))
    return drawn


def proof(found: AuditProof) -> str:
    """Spell what became of the audit log's chain, a line for each thing."""
    if found.head is None:
        lines = ["nothing is chained yet"]
    else:
        lines = [f"{found.rows:,} rows, from {found.first_seq} to {found.head_seq}", f"head {found.head}"]
    if found.unplaced:
        lines.append(f"{found.unplaced:,} rows wait for the leader to chain them")
    lines.append("the chain is sound" if found.sound else f"BROKEN: {found.problem}")
    return "\n".join(lines)


def locks(page: LockPage) -> Table:
    """Draw some locks, each saga that holds or wants one in a row."""
    drawn = columns("lock", "", "mode", "saga", "since", "number", "status")
    for each in page.locks:
        number = "" if each.number is None else str(each.number)
        stands = "held" if each.held else "waits"
        cells = (each.key, stands, each.mode, str(each.saga_id), moment(each.since), number, each.status or "gone")
        drawn.add_row(*(Text(plain(cell)) for cell in cells))
    return drawn


def schedules(page: ScheduleList) -> Table:
    """Draw some schedules, one in a row."""
    drawn = columns("schedule", "saga", "fires", "next", "last")
    for each in page.schedules:
        coming = "paused" if each.next_at is None else moment(each.next_at)
        last = "" if each.last is None else f"{moment(each.last.at)} {each.last.status}"
        drawn.add_row(*(Text(plain(cell)) for cell in (each.name, each.saga, each.fires, coming, last)))
    return drawn


def schedule(found: ScheduleDetail) -> Iterator[Text]:
    """Yield a schedule: what it is, its next fires, its last ones, newest first."""
    yield Text(plain(f"{found.name}  {found.saga}, {found.fires}"), "bold")
    yield Text(plain(f"overlap {found.overlap}, catches up {found.catch_up}, changed by {found.changed_by or 'somebody'}"))
    counts = f"{found.started} started, {found.skipped} skipped, {found.missed} missed, {found.refused} refused"
    yield Text(f"{counts}{', one waits' if found.waiting_at is not None else ''}")
    if found.saga_id is not None:
        yield Text(f"started {found.saga_id}")
    if found.paused:
        yield Text("paused", "yellow")
    for at in found.next_fires:
        yield Text(f"next {moment(at)}")
    for each in found.last_fires:
        yield Text(plain(_fire(each)), "red" if each.saga_id is None else "")


def _fire(fire: FireDetail) -> str:
    by = f", by {fire.by}" if fire.by else ""
    return f"last {moment(fire.at)} {fire.status} {fire.saga_id or fire.problem}{by}"


def definitions(found: Sequence[DefinitionSummary]) -> Table:
    """Draw versions of definitions, one in a row."""
    drawn = columns("saga", Column("version", no_wrap=True, min_width=32), "", "in the code of", "registered")
    for each in found:
        when = "" if each.registered_at is None else moment(each.registered_at)
        drawn.add_row(*(Text(plain(cell)) for cell in (each.saga, each.version, standing(each), offered(each), when)))
    return drawn


def standing(definition: DefinitionSummary) -> str:
    """Return whether new sagas take a version, in a word or two."""
    if definition.waits_for:
        return f"waits for {len(definition.waits_for)} instances"
    return "active, pinned" if definition.pinned else "active" if definition.active else ""


def offered(definition: DefinitionSummary) -> str:
    """Return how many living instances offer a version."""
    return f"{definition.offered_by} living" if definition.offered_by else ""


def moment(at: datetime) -> str:
    """Return a time, in UTC, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def plain(text: str) -> str:
    """Return a text without control characters and so without escape sequences."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
