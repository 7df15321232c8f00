"""Definitions at hand: each version is read and compiled once. And which of them new sagas take.

Who starts a saga by an object of its code starts that version. Who starts it by name, over REST, at the command line or in
Python, takes the *active* version, by one rule:

1. the one that an operator has pinned (``goconductor definition activate``);
2. else, of the versions that living instances have in their code, the one that was registered last for the first time, as long
   as all living instances know its features (:mod:`goconductor.saga.features`);
3. else the one that was active last.

So a deployment switches by itself when its first instance uses the saga. A restart of an old instance switches nothing back
while one with the newer code lives: an old version does not become newer by being registered again. And when the newer ones are
taken away, the old one is active again, whose steps are there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import msgspec

from goconductor.aio.recent import Recent
from goconductor.errors import DefinitionError, RequestRefusedError
from goconductor.ports.store import Definitions as Stored
from goconductor.ports.store import Instance, StoredDefinition
from goconductor.redaction import logger_of
from goconductor.saga import plan as plans
from goconductor.saga.checking import validate
from goconductor.saga.checking.code import unfit_child
from goconductor.saga.checking.constructs.children import DEPTH_MAX
from goconductor.saga.checking.doubts import doubts
from goconductor.saga.checking.known import Known
from goconductor.saga.definition import Child, Definition, Step, StepRole, every_step, with_body
from goconductor.saga.features import unknown_to
from goconductor.saga.ids import DEFAULT_NAMESPACE, is_name
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.engine")

KEPT_MAX = 1_000
"""Compiled versions that are kept. Of a service that makes definitions all the time, the last used; others are read again."""

JUDGED_MAX = 100_000
"""Versions of which is remembered that they were judged; a service that makes definitions all the time is told again at last."""


class Definitions:
    """The definitions of one store. A saga keeps the version that it started with, so a compiled version never goes stale.

    Args:
        stored: where they are kept.
        serial: the number of this process's instance, which offers what it registers; None offers nothing.
        instances: asks for all instances; None where there are no others.
    """

    def __init__(
        self,
        stored: Stored,
        serial: Callable[[], int] | None = None,
        instances: Callable[[], Awaitable[list[Instance]]] | None = None,
    ) -> None:
        self.checks: list[Callable[[Definition], None]] = []
        """Called with each definition before it is stored; what they raise refuses it."""
        self.strict = False
        """Whether a definition is refused of which something is doubtful; where not, that is told in the log."""
        self._stored = stored
        self._serial = serial
        self._instances = instances
        self._kept: Recent[str, tuple[Plan, StoredDefinition]] = Recent(count_max=KEPT_MAX)
        """By version alone: it is the hash of a document, and so distinguishes sagas as well."""
        self._pinned: Recent[str, Definition] = Recent(count_max=KEPT_MAX)
        """Definitions whose steps start sagas, with the versions of these, by the version of the document without them. A process
        that has registered one keeps to it, whatever is active later."""
        self._judged: Recent[str, bool] = Recent(count_max=JUDGED_MAX)
        """Versions of which was told what is doubtful about them."""
        self._offered: dict[tuple[str, str, int], StoredDefinition] = {}

    def at_hand(self, version: str) -> Plan | None:
        """Return a version that was read lately; None if it has to be read (:meth:`plan`)."""
        kept = self._kept.use(version)
        return None if kept is None else kept[0]

    async def plan(self, saga: str, version: str | None = None) -> Plan:
        """Return a version, compiled; the active one if none is named.

        Raises:
            RequestRefusedError: there is no such definition.
            DefinitionError: the stored definition cannot run in this version of goconductor.
        """
        if version is not None and (known := self.at_hand(version)) is not None and known.name == saga:
            return known
        well_named = is_name(saga) and (version is None or version.isalnum())
        stored = await self._stored.get(DEFAULT_NAMESPACE, saga, version) if well_named else None
        if stored is None:
            raise RequestRefusedError(await self._missing(saga, version, well_named=well_named))
        return self.at_hand(stored.version) or self._keep(stored)

    async def _missing(self, saga: str, version: str | None, *, well_named: bool) -> str:
        """Return why there is no such definition, and what to do."""
        if version is not None:
            return f"there is no definition of version {version!r} of saga {saga!r}; register it, or check its name"
        for stored in await self._stored.versions(DEFAULT_NAMESPACE, saga) if well_named else ():
            if behind := await self.unready(stored.features):
                return (
                    f"no version of saga {saga!r} is active: version {stored.version} uses {', '.join(stored.features)}, which "
                    f"{', '.join(behind)} cannot run; upgrade these instances"
                )
        return f"there is no definition of saga {saga!r}; register it, or check its name"

    async def unready(self, features: Collection[str]) -> list[str]:
        """Return the names of living instances that do not know all of these features.

        Raises:
            StoreUnavailableError: the store is away.
        """
        instances = await self._instances() if features and self._instances is not None else []
        return [each.name for each in instances if each.dead_at is None and unknown_to(features, each.features)]

    async def refuse_unready(self, plan: Plan, uses: str) -> None:
        """Refuse a definition that a living instance cannot run.

        Args:
            plan: the definition.
            uses: what uses its features, with the verb: the beginning of the refusal.

        Raises:
            RequestRefusedError: an instance does not know a feature; names it, and the remedy.
            StoreUnavailableError: the store is away.
        """
        features = await self.features_below(plan)
        if behind := await self.unready(features):
            raise RequestRefusedError(
                f"{uses} {', '.join(features)}, which {', '.join(behind)} cannot run; upgrade these instances first"
            )

    def _keep(self, stored: StoredDefinition) -> Plan:
        try:
            definition = msgspec.json.decode(stored.document, type=Definition)
        except msgspec.DecodeError as error:
            raise DefinitionError(
                stored.saga, [f"stored version {stored.version} cannot be read here: {error}; upgrade."]
            ) from None
        validate.check(definition, stored=True)
        plan = plans.plan(definition)
        # under the stored version: it names the document, whatever a newer release's canonical form would make of it
        self._kept.put(stored.version, (plan, stored))
        return plan

    async def put_again(self) -> None:
        """Store all that are at hand once more, and all that this process offers: the log may have lost one that running sagas
        need. Where it has lost which version is active, that is the one which was.

        Raises:
            StoreUnavailableError: the store is away.
        """
        ours = {stored.version: stored for stored in self._offered.values()}
        for version, stored in (ours | {version: stored for version, (_, stored) in self._kept.items()}).items():
            activate = stored.active and await self._stored.get(stored.namespace, stored.saga) is None
            serial = self._serial() if self._serial is not None else None
            await self._stored.put(stored, activate=activate, offered_by=serial if version in ours else None)

    def judge(self, definition: Definition) -> None:
        """Tell in the log what is doubtful about a definition, once for each version, or refuse it.

        Args:
            definition: one that can run.

        Raises:
            DefinitionError: something is doubtful, and this process is strict; has all doubts.
        """
        version = definition.version
        if not self.strict and self._judged.use(version):
            return
        found = doubts(definition)
        if found and self.strict:
            raise DefinitionError(definition.name, found, cannot="be registered, as definitions.strict is set")
        self._judged.put(version, True)
        for doubt in found:
            logger.warning("saga %r: %s", definition.name, doubt)

    async def register(
        self,
        definition: Definition,
        *,
        activate: bool | None = None,
        children: Mapping[str, str] | None = None,
        derived: bool = False,
    ) -> Plan:
        """Check a definition and store it.

        Args:
            definition: what to store.
            activate: None offers it as a part of this process's code, and the rule decides which version is active. Otherwise it
                comes from elsewhere, and True makes it active where no living instance offers any, if all know its features.
            children: versions of sagas that its steps start, by their names. Of the others the active version is taken, where the
                definition names none.
            derived: whether it is made of a version that was judged (:meth:`judge`) itself.

        Raises:
            DefinitionError: it cannot run; has all problems. Or something is doubtful, and this process is strict.
        """
        validate.check(definition)
        for check in self.checks:
            check(definition)
        definition = await self.with_children(definition, children or {})
        if not derived:
            self.judge(definition)
        plan = plans.plan(definition)
        stored = StoredDefinition(
            namespace=DEFAULT_NAMESPACE,
            saga=plan.name,
            version=plan.version,
            document=definition.document(),
            features=await self.features_below(plan),
        )
        behind = await self.unready(stored.features) if activate is not False else []
        if activate is None:
            await self._offer(stored, behind)
        else:
            await self._stored.put(stored, activate=activate and not behind)
        # as it is stored: equal definitions may be written differently (the order of keys, 1.0 for 1), and a step's constants
        # must be the same bytes in every process
        return await self.plan(plan.name, plan.version)

    async def with_children(self, definition: Definition, known: Mapping[str, str]) -> Definition:
        """Return a definition with the version of each saga that its steps start.

        A version is a hash, and the document of the parent has those of its children. So no saga can start itself, however far
        below: a document would have to hold its own hash.

        Args:
            definition: a sound one.
            known: versions by the sagas' names. Of the others the active version is taken, where the definition names none.

        Raises:
            DefinitionError: there is no such saga, or too many stand one below the other.
        """
        if not any(step.saga is not None for step in every_step(definition.steps)):
            return definition
        unpinned = f"{definition.version} {sorted(known.items())}"
        if (pinned := self._pinned.use(unpinned)) is not None:
            return pinned
        found: list[str] = []
        versions: dict[Child, Child] = {}
        plans_of: dict[Child, Plan] = {}
        for step in every_step(definition.steps):
            if step.saga is None or step.saga in versions:
                continue
            try:
                child = await self.plan(step.saga.name, step.saga.version or known.get(step.saga.name))
                below = await self._depth(child)
            except RequestRefusedError as error:
                found.append(f"step {step.id!r} starts a saga that is not there: {error}.")
                continue
            versions[step.saga], plans_of[step.saga] = Child(name=child.name, version=child.version), child
            if child.locks:
                found.append(
                    f"step {step.id!r} starts saga {child.name!r}, which asks for locks; only a saga that no step starts can "
                    "hold some to its end: give these locks to this saga, or to the step."
                )
            if below >= DEPTH_MAX:
                found.append(f"step {step.id!r} starts a saga with {below - 1} sagas below it; at most {DEPTH_MAX} may stand so.")
        for step, seen in Known(schema=definition.input_schema).each(definition.steps):
            begun = plans_of.get(step.saga) if step.saga is not None else None
            if begun is not None and begun.definition.input_schema is not None:
                found += unfit_child(step, begun.definition.input_schema, seen)
        held = _held(definition)
        found += [
            f"step {step.id!r} starts saga {child.name!r}, which cannot undo itself once its pivot {child.pivot!r} has "
            "succeeded, and this saga may turn back; give the step an undo ('participant.step'), or put it after the pivot."
            for step in held
            if step.saga in plans_of and (child := plans_of[step.saga]).pivot is not None
        ]
        if found:
            raise DefinitionError(definition.name, found)
        pinned = msgspec.structs.replace(definition, steps=_pin(definition.steps, versions, held))
        self._pinned.put(unpinned, pinned)
        return pinned

    async def features_below(self, plan: Plan) -> tuple[str, ...]:
        """Return the features that a definition uses, and those of all sagas that it can start: who takes the one takes all.

        Args:
            plan: the definition, with the versions of its children where it has any.

        Raises:
            RequestRefusedError: one of these sagas is not there.
            StoreUnavailableError: the store is away.
        """
        if not plan.starts_sagas:
            return plan.features
        found = {*plan.features}
        for step in every_step(plan.definition.steps):
            if step.saga is not None and step.saga.version is not None:
                found.update(await self.features_below(await self.plan(step.saga.name, step.saga.version)))
        return tuple(sorted(found))

    async def _depth(self, plan: Plan) -> int:
        """Return how many sagas stand one below the other, this one counted. The versions in a stored document make an end."""
        depth = 1
        for step in every_step(plan.definition.steps):
            if step.saga is not None:
                depth = max(depth, 1 + await self._depth(await self.plan(step.saga.name, step.saga.version)))
        return depth

    async def _offer(self, stored: StoredDefinition, behind: Collection[str]) -> None:
        serial = self._serial() if self._serial is not None else None
        offer = (stored.saga, stored.version, serial or 0)
        if offer in self._offered:
            return
        before = await self._stored.get(stored.namespace, stored.saga)
        await self._stored.put(stored, activate=before is None and not behind, offered_by=serial)
        active = await self._stored.get(stored.namespace, stored.saga)
        if active is not None and active.version == stored.version and not active.pinned:
            if before is not None and before.version != stored.version:
                logger.info("saga %r: new sagas take version %s now, after %s", stored.saga, stored.version, before.version)
                await self._stored.put(stored, activate=True)  # it stays so when nobody lives any more
        elif behind:
            logger.warning(
                "saga %r: version %s is not active before all instances know %s; these do not: %s",
                *(stored.saga, stored.version, ", ".join(stored.features), ", ".join(behind)),
            )
        elif active is not None and active.version != stored.version:
            logger.warning(
                "saga %r: this process has version %s in its code, but a start by name takes %s, which %s; "
                "`goconductor definition activate` pins another, `goconductor definition unpin` leaves it to the newest",
                stored.saga,
                stored.version,
                active.version,
                "an operator has pinned" if active.pinned else "is newer and in the code of a living instance",
            )
        self._offered[offer] = stored


def _held(definition: Definition) -> list[Step]:
    """Return the steps whose saga is held when it is done: those before the pivot that declare no undo, in maps as well."""
    roles = plans.plan(definition).roles
    before = [step for step in definition.steps if roles[step.id] is StepRole.COMPENSATABLE]
    return [step for step in every_step(before) if step.saga is not None and step.undo is None]


def _pin(steps: tuple[Step, ...], versions: Mapping[Child, Child], held: Sequence[Step]) -> tuple[Step, ...]:
    """Return steps with the versions of the sagas that they start, and whether these are held; those in maps as well."""
    pinned = []
    for step in steps:
        if step.saga is not None:
            child = msgspec.structs.replace(versions[step.saga], held=any(step is each for each in held))
            step = msgspec.structs.replace(step, saga=child)  # noqa: PLW2901
        elif step.body:
            step = with_body(step, _pin(step.body, versions, held))  # noqa: PLW2901
        pinned.append(step)
    return tuple(pinned)
