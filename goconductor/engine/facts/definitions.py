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

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

import msgspec

from goconductor.aio.recent import Recent
from goconductor.engine.facts.pinning import Pinning
from goconductor.errors import DefinitionError, RequestRefusedError
from goconductor.ports.store import Definitions as Stored
from goconductor.ports.store import Instance, StoredDefinition
from goconductor.redaction import logger_of
from goconductor.saga import plan as plans
from goconductor.saga.checking import validate
from goconductor.saga.checking.doubts import doubts
from goconductor.saga.definition import Definition
from goconductor.saga.features import unknown_to
from goconductor.saga.ids import DEFAULT_NAMESPACE, INSIDE, is_saga_name
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
        self._pinning = Pinning(self.plan, partial(self._stored.put, activate=False), kept_max=KEPT_MAX)
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
        well_named = is_saga_name(saga) and (version is None or version.isalnum())
        stored = await self._stored.get(DEFAULT_NAMESPACE, saga, version) if well_named else None
        if stored is None:
            raise RequestRefusedError(await self._missing(saga, version, well_named=well_named))
        return self.at_hand(stored.version) or self._keep(stored)

    async def _missing(self, saga: str, version: str | None, *, well_named: bool) -> str:
        """Return why there is no such definition, and what to do."""
        if version is not None:
            return f"there is no definition of version {version!r} of saga {saga!r}; register it, or check its name"
        around, inside, _ = saga.partition(INSIDE)
        if inside and well_named:
            return f"saga {saga!r} is written inside another one, and is started by that one only; start {around!r}"
        for stored in await self._stored.versions(DEFAULT_NAMESPACE, saga) if well_named else ():
            if behind := await self.unready(stored.features):
                return (
                    f"no version of saga {saga!r} is active: version {stored.version} uses {', '.join(stored.features)}, which "
                    f"{', '.join(behind)} cannot run; upgrade these instances"
                )
        return f"there is no definition of saga {saga!r}; register it (goconductor definition register), or check its name"

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
        """Return a definition with the version of each saga that its steps start (:meth:`Pinning.pinned`)."""
        return await self._pinning.pinned(definition, known)

    async def features_below(self, plan: Plan) -> tuple[str, ...]:
        """Return the features of a definition, and of all sagas that it can start (:meth:`Pinning.features_below`)."""
        return await self._pinning.features_below(plan)

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
