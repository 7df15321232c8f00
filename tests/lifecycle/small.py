"""Small sagas, of which each is led through everything that can happen."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from goconductor.saga.definition import Binding, Child, Definition, Delay, Lock, Map, Repeat, Step, Undo, Wait
from goconductor.saga.retry import Retry

GO = Wait(event="go", timeout_seconds=5.0)
VALUES = {"#": "input.yes", "/": "input.missing", "*": 'steps["s" + "2"].output'}
ONCE = Retry(attempts_max=1)
MANY = 99
CHILD = Child(name="other", version="1")
HELD = Child(name="other", version="1", held=True)
MAPS = {"@": "$.input.one", "^": "$.input.missing"}
DELAYS = {"~": Delay(seconds=5.0), "%": Delay(until="$.input.missing")}
LOCK = Lock("k")
UNDO = Undo(run="clerk.undo", inputs={"amount": Binding(value=1)})


def saga(*steps: str, unknowns_max: int = 2, attempts_max: int = 2) -> Definition:
    """``c`` is compensatable, ``t`` such a step that may fail, ``p`` the pivot, ``r`` retriable; a number after it says which
    step it waits for; ``?`` and ``!`` give it a condition that is false, or that cannot be evaluated. ``~`` makes it a delay,
    ``%`` one until a time of nowhere, and ``&`` a wait. ``#`` makes it a value, ``/`` one that cannot be worked out, and ``*``
    one that can once the third step has ended. ``@`` makes it a map over one item, ``^`` one over nothing that is
    there. ``$`` makes it one that starts a saga, and ``€`` one whose saga cannot be given its input. ``=`` gives it a lock.
    """
    policy = Retry(attempts_max=attempts_max)
    return Definition(
        name="small",
        steps=tuple(
            Step(
                id=f"s{i}",
                map=Map(
                    over=MAPS[text[1]], do=(Step(id="a", run="service.a", retry=ONCE, compensation_retry=ONCE, unknowns_max=1),)
                ),
                after=tuple(f"s{n}" for n in text if n.isdigit()),
            )
            if text[1:2] in MAPS
            else Step(
                id=f"s{i}",
                delay=DELAYS.get(text[1]),
                wait=GO if text[1] == "&" else None,
                value=VALUES.get(text[1]),
                after=tuple(f"s{n}" for n in text if n.isdigit()),
                allow_fail=text[0] == "t",
            )
            if text[1:2] in {*DELAYS, *VALUES, "&"}
            else Step(
                id=f"s{i}",
                saga=CHILD,
                inputs={"x": Binding(ref="$.input.missing")} if text[1] == "€" else {},
                after=tuple(f"s{n}" for n in text if n.isdigit()),
                undo=None if text[0] == "r" else UNDO,
                compensation_retry=policy,
                allow_fail=text[0] == "t",
            )
            if text[1:2] in {"$", "€"}
            else Step(
                id=f"s{i}",
                run=f"service.s{i}",
                inputs={"amount": Binding(value=1)},
                after=tuple(f"s{n}" for n in text if n.isdigit()),
                pivot=text[0] == "p",
                undo=UNDO if text[0] in "uv" else "none" if text[0] in "nm" else None,
                when="input.no" if "?" in text else "input.missing" if "!" in text else None,
                retry=policy,
                compensation_retry=policy,
                unknowns_max=unknowns_max,
                allow_fail=text[0] in "tvm",
                locks=(LOCK,) if "=" in text else (),
            )
            for i, text in enumerate(steps)
        ),
    )


SMALL = {
    "one step": saga("c", unknowns_max=3),
    "one step that is lost at once": saga("c", unknowns_max=1),
    "two branches": saga("c", "c", unknowns_max=1, attempts_max=1),
    "a pivot": saga("p", unknowns_max=3),
    "a step and the pivot": saga("c", "p0"),
    "two retriable branches": saga("p", "r0", "r0", unknowns_max=1, attempts_max=1),
    "a step that is skipped": saga("c?"),
    "a step that is skipped, at the end": saga("c", "c0?"),
    "a condition that cannot be evaluated": saga("c!"),
    "such a condition beside a step": saga("c", "c!"),
    "such a condition after a step": saga("c", "c0!"),
    "such a condition after a pivot": saga("p", "r0!"),
    "such a condition after a retriable step": saga("p", "r0", "r1!", unknowns_max=1, attempts_max=1),
    "a value": saga("c#"),
    "a value after a step": saga("c", "c#0"),
    "a value that cannot be worked out": saga("c/"),
    "such a value that may fail": saga("t/"),
    "such a value after a pivot": saga("p", "r/0", unknowns_max=1, attempts_max=1),
    "such a value after a pivot, until a delay has ended": saga("p", "r*0", "r~0", unknowns_max=1, attempts_max=1),
    "a delay": saga("c~"),
    "a delay before a step": saga("c~", "c0"),
    "a delay after a step": saga("c", "c~0"),
    "a delay beside a step": saga("c", "c~"),
    "two delays, one after the other": saga("c~", "c~0"),
    "a delay before a pivot": saga("c~", "p0"),
    "a delay after a pivot": saga("p", "r~0"),
    "a delay beside a retriable step": saga("p", "r~0", "r0"),
    "a delay before a condition that cannot be evaluated": saga("c~", "c0!"),
    "the same after a pivot": saga("p", "r~0", "r1!"),
    "such a condition after a delay beside a step": saga("c", "c~", "c1!"),
    "two delays after a pivot": saga("p", "r~0", "r~1"),
    "a delay before a retriable step": saga("p", "r~0", "r1"),
    "a delay beside a delay": saga("c~", "c~"),
    "a wait": saga("c&"),
    "a wait beside a step": saga("c", "c&"),
    "a wait after a delay": saga("c~", "c&0"),
    "a wait before a condition that cannot be evaluated": saga("c&", "c0!"),
    "the same beside a step": saga("c", "c&", "c1!"),
    "a wait after a step and before one": saga("c", "c&0", "c1", unknowns_max=1, attempts_max=1),
    "two waits after a pivot": saga("p", "r&0", "r&1"),
    "a wait after a pivot, beside a retriable step": saga("p", "r&0", "r0", "r1!", unknowns_max=1, attempts_max=1),
    "a delay until a time that is missing": saga("c%"),
    "the same after a step": saga("c", "c%0"),
    "the same after a pivot and a delay": saga("p", "r~0", "r%1"),
    "a step that may fail": saga("t"),
    "such a step, lost at once": saga("t", unknowns_max=1),
    "such a step, never sent": saga("t!"),
    "such a step, never sent, after another": saga("c", "t0!"),
    "such a step and another": saga("t", "c0", unknowns_max=1, attempts_max=1),
    "such a step beside another": saga("t", "c", unknowns_max=1, attempts_max=1),
    "such a step and a condition that cannot be evaluated": saga("t", "c0!", unknowns_max=1, attempts_max=1),
    "such a step before a delay": saga("t", "c~0", unknowns_max=1, attempts_max=1),
    "such a step after a step and before a delay": saga("c", "t0", "c~1", unknowns_max=1, attempts_max=1),
    "such a step beside a delay": saga("t", "c~", unknowns_max=1, attempts_max=1),
    "such a step that is a delay": saga("t~"),
    "such a step that is a wait": saga("t&"),
    "such a step that is a wait, before another": saga("t&", "c0"),
    "such a step that is a wait, after another": saga("c", "t&0"),
    "such a step that is a delay until a time that is missing, after a step": saga("c", "t%0"),
    "a step with a declared undo": saga("u"),
    "such a step that may fail": saga("v", unknowns_max=1, attempts_max=1),
    "a step with nothing to undo": saga("n"),
    "such a step, lost at once, with nothing to undo": saga("n", unknowns_max=1),
    "such a step before a condition that cannot be evaluated": saga("n", "c0!"),
    "a step that may fail, with nothing to undo": saga("m", attempts_max=1),
    "the same before a delay": saga("m", "c~0", attempts_max=1),
    "the same before a condition that cannot be evaluated": saga("m", "c0!", unknowns_max=1, attempts_max=1),
    "the same beside a wait": saga("n", "c&"),
    "the same beside a wait before a value that cannot be worked out": saga("n", "c&", "c/1"),
    "a step that starts a saga": saga("c$", unknowns_max=1, attempts_max=1),
    "two of them": saga("c$", "c$", unknowns_max=1, attempts_max=1),
    "such a step before another": saga("c$", "c0", unknowns_max=1, attempts_max=1),
    "such a step after another": saga("c", "c$0", unknowns_max=1, attempts_max=1),
    "such a step without its input": saga("c€"),
    "such a step after a pivot": saga("p", "r$0", unknowns_max=1, attempts_max=1),
    "one that may fail and starts a saga": saga("t$", unknowns_max=1, attempts_max=1),
    "such a step before a wait": saga("c$", "c&0", unknowns_max=1, attempts_max=1),
    "a map": saga("c@"),
    "a map without a list": saga("c^"),
    "a map after a step": saga("c", "c@0", unknowns_max=1, attempts_max=1),
    "a map without a list, after a pivot": saga("p", "r^0", unknowns_max=1, attempts_max=1),
    "such a step between the two": saga("c", "t0", "c1!", unknowns_max=1, attempts_max=1),
    "one with a lock": saga("c=", unknowns_max=1, attempts_max=1),
    "one with a lock that may fail": saga("t=", unknowns_max=1, attempts_max=1),
    "one with a lock beside one that may fail": saga("t", "c=", unknowns_max=1, attempts_max=1),
    "one with a lock beside one with nothing to undo": saga("n", "c=", unknowns_max=1),
    **{
        f"a lock of the saga, before {what}": replace(saga(*steps, unknowns_max=1, attempts_max=1), locks=(LOCK,))
        for what, steps in {
            "a pivot": ("p",),
            "a delay": ("c~",),
            "a wait": ("c&",),
            "a value": ("c#",),
            "a map": ("c@",),
            "a value that cannot be worked out": ("c/",),
            "a step and a condition that cannot be evaluated": ("c#", "c0!"),
        }.items()
    },
}


NONE = Step(id="a", run="service.a", undo="none", retry=ONCE, unknowns_max=1)
TWICE = replace(NONE, id="b", run="service.b", when="index == 1", retry=Retry(attempts_max=2))


def one_is_enough(*do: Step, then: Step | None = None) -> Definition:
    """A map over two items, of which one is enough."""
    lines = Step(id="m", map=Map(over="$.input.two", do=do, join="any"))
    return Definition(name="small", steps=(lines, *(() if then is None else (replace(then, after=("m",)),))))


JOINED = {
    "a map that may fail": Definition(
        name="small", steps=(Step(id="m", map=Map(over="$.input.one", do=(NONE,)), allow_fail=True),)
    ),
    "items with nothing to undo": one_is_enough(NONE),
    "the same of two steps": one_is_enough(NONE, replace(NONE, id="b", run="service.b", after=("a",))),
    "a wait beside one that is tried again": one_is_enough(Step(id="a", wait=GO, when="index == 0"), TWICE),
    "the same before a wait": one_is_enough(Step(id="a", wait=GO, when="index == 0"), TWICE, then=Step(id="w", wait=GO)),
    "a delay beside it": one_is_enough(Step(id="a", delay=DELAYS["~"], when="index == 0"), TWICE),
    "the same before a delay": one_is_enough(
        Step(id="a", delay=DELAYS["~"], when="index == 0"), TWICE, then=Step(id="w", wait=GO)
    ),
}
"""Sagas with a map that does not need all its items."""


def turns(*before: Step, turn: Step = NONE, **fields: Any) -> Definition:
    """A repeat that ends with its second turn, behind other steps."""
    again = Step(id="r", after=tuple(step.id for step in before), repeat=Repeat(do=(turn,), until="index == 1", **fields))
    return Definition(name="small", steps=(*before, again))


def outside(*steps: Step) -> Definition:
    """A saga with steps that may be handed out: one whose id begins with ``h`` is asked about, one with ``e`` has its end."""
    return Definition(name="small", steps=steps)


def handed(id: str, *after: str, retry: Retry = ONCE, **fields: Any) -> Step:
    """A step that may be handed out."""
    total = 100.0 if id[0] == "e" else None
    made = Step(id=id, run=f"service.{id}", after=after, total_timeout_seconds=total, retry=retry, compensation_retry=ONCE)
    return replace(made, unknowns_max=1, **fields)


PIVOT = Step(id="p", run="service.p", pivot=True, retry=ONCE, unknowns_max=1)
REPEATED = {
    "turn after turn": turns(max=2),
    "with time between the turns": turns(max=2, delay_seconds=5.0),
    "behind a pivot, with a turn too few": turns(PIVOT, turn=Step(id="a", value="1"), max=1),
}
"""Sagas with a repeat."""

CANNOT = Step(id="x", delay=DELAYS["%"])
ASKED = Undo(wait=Wait(event="go", timeout_seconds=5.0))


def asked(*after: str, **fields: Any) -> Step:
    """A step that is undone by word from outside."""
    return handed("a", *after, undo=ASKED, compensation_retry=None, **fields)


HANDED_OUT = {
    "undone by word": outside(asked()),
    "undone by word, after a step": outside(handed("s"), asked("s")),
    "one that may fail, undone by word": outside(asked(allow_fail=True)),
    "such a step before another": outside(asked(allow_fail=True), handed("s", "a", undo="none")),
    "such a step before a wait": outside(asked(allow_fail=True), Step(id="w", wait=GO, after=("a",))),
    "such a step before what cannot be": outside(asked(allow_fail=True), replace(CANNOT, after=("a",))),
    "such a step between another and that": outside(handed("s"), asked("s", allow_fail=True), replace(CANNOT, after=("a",))),
    "one that is handed out, undone by word": outside(handed("e", undo=ASKED, compensation_retry=None)),
    "asked about": outside(handed("h", retry=Retry(attempts_max=2))),
    "until its end": outside(handed("e")),
    "one that may fail": outside(handed("e", allow_fail=True)),
    "undone by another": outside(handed("h", undo=UNDO)),
    "undone again": outside(handed("h", compensation_retry=Retry(attempts_max=2))),
    "one that may fail, undone by another": outside(handed("e", allow_fail=True, undo=UNDO)),
    "a pivot": outside(handed("e", pivot=True)),
    "a pivot that is tried again": outside(handed("h", pivot=True, retry=Retry(attempts_max=2))),
    "behind a pivot, tried again": outside(PIVOT, handed("h", "p", retry=Retry(attempts_max=2))),
    "a pivot and a step": outside(handed("h", pivot=True), handed("e", "h")),
    "before another": outside(handed("e"), handed("h", "e")),
    "beside another": outside(handed("e"), handed("h")),
    "before what cannot be": outside(handed("h"), replace(CANNOT, after=("h",))),
    "before a wait": outside(handed("e", allow_fail=True), Step(id="w", wait=GO, after=("e",))),
    "one that may fail, before what cannot be": outside(handed("e", allow_fail=True), replace(CANNOT, after=("e",))),
    "the same after a step": outside(handed("s"), handed("e", "s", allow_fail=True), replace(CANNOT, after=("e",))),
    "one that may fail, before another": outside(handed("e", allow_fail=True), handed("s", "e", undo="none")),
    "beside a wait": outside(handed("h"), Step(id="w", wait=GO)),
    "nothing to undo": outside(handed("e", undo="none"), Step(id="w", wait=GO, after=("e",))),
    "items with nothing to undo": one_is_enough(handed("e", undo="none")),
    "two of them": outside(handed("h", undo="none"), handed("e", "h", undo="none")),
    "a pivot before what cannot be": outside(handed("h", pivot=True), replace(CANNOT, after=("h",))),
    "two behind a pivot": outside(PIVOT, handed("e", "p"), handed("h", "p")),
    "behind a pivot, before a wait": outside(
        PIVOT, handed("e", "p"), Step(id="w", wait=GO, after=("e",)), replace(CANNOT, after=("p",))
    ),
}
"""Sagas of which a step is handed out to somebody outside."""
MORE = Step(id="s1", wait=Wait(event="more"))


def asks_a_signal(*, pivot: bool = False, beside: bool = False, then: Step = MORE) -> Definition:
    """A wait, and a step after it whose condition reads what was taken; what is taken in a new round may be other."""
    after = ("p",) if pivot else ()
    once = Retry(attempts_max=1)
    steps = [
        *([Step(id="p", run="service.p", pivot=True, retry=once, unknowns_max=1)] if pivot else []),
        Step(id="s0", wait=GO, after=after),
        replace(then, when="steps.s0.output.x > 1", after=("s0",)),
        *([Step(id="s2", run="service.s2", after=after, retry=once, unknowns_max=1)] if beside else []),
    ]
    return Definition(name="small", steps=tuple(steps))


def asks_a_value(*beside: Step, x: int = 7, starts: Child | None = None, id: str = "s1") -> Definition:
    """A step that runs, or starts a saga, where a value says so, and the value reads an input that a restart may give anew."""
    value = Step(id="v", value="inputs.x > 3", inputs={"x": Binding(value=x)})
    then = Step(id=id, run="service.s1", after=("v",), when="steps.v.output", undo="none", unknowns_max=1, retry=ONCE)
    if starts is not None:
        undo, policy = (None, None) if starts.held else (UNDO, ONCE)
        then = Step(id="s1", saga=starts, after=("v",), when="steps.v.output", undo=undo, compensation_retry=policy)
    return Definition(name="small", steps=(value, then, *beside))


STEP = Step(id="s2", run="service.s2", unknowns_max=1, retry=ONCE, compensation_retry=ONCE)
SHORT = {"unknowns_max": 1, "attempts_max": 1}
RESTARTED = {
    "one step": saga("c", **SHORT),
    "two steps": saga("c", "c0", **SHORT),
    "a pivot": saga("p", "r0!", **SHORT),
    "a pivot that is skipped by hand": saga("p", "r0", **SHORT),
    "a step that is skipped": saga("c?", "c0", **SHORT),
    "a condition that cannot be evaluated": saga("c", "c0!", **SHORT),
    "a delay": saga("c~", "c0", **SHORT),
    "a delay after a step": saga("c", "c~0", **SHORT),
    "a delay beside a step": saga("c", "c~", **SHORT),
    "a wait": saga("c&"),
    "a wait after a pivot": saga("p", "r&0", **SHORT),
    "a step that may fail": saga("t", **SHORT),
    "such a step and another": saga("t", "c0", **SHORT),
    "such a step before a delay": saga("t", "c~0", **SHORT),
    "such a step that is a wait": saga("t&", "c0", **SHORT),
    "a step that starts a saga": saga("c$", **SHORT),
    "such a step before another": saga("c$", "c0", **SHORT),
    "such a step beside a wait": saga("c$", "c&", **SHORT),
    "such a step before a wait": saga("c$", "c&0", **SHORT),
    "such a step before a condition that cannot be evaluated": saga("c$", "c0!", **SHORT),
    "a wait after a pivot, beside a retriable step": saga("p", "r&0", "r0", **SHORT),
    "what is asked of a signal": asks_a_signal(),
    "the same beside a step": asks_a_signal(beside=True),
    "the same before a step with nothing to undo": asks_a_signal(then=Step(id="s1", run="service.s1", undo="none")),
    "what is asked of a value": asks_a_value(),
    "the same of a step that is handed out": asks_a_value(id="h"),
    "what is handed out, beside a step": asks_a_value(STEP, id="h"),
    "what is asked of a value beside a wait": asks_a_value(Step(id="w", wait=GO)),
    "what is asked of a value beside a step": asks_a_value(STEP),
    "what is asked of a value by a step that starts a saga": asks_a_value(starts=CHILD),
    "the same, beside a wait": asks_a_value(Step(id="w", wait=GO), starts=CHILD),
    "the same, beside a step": asks_a_value(STEP, starts=CHILD),
    "what is asked of a value by a step that starts a saga which undoes itself": asks_a_value(starts=HELD),
    "the same saga, beside a wait": asks_a_value(Step(id="w", wait=GO), starts=HELD),
    "the same saga, beside a step": asks_a_value(STEP, starts=HELD),
    "a value that says no, beside a wait": asks_a_value(Step(id="w", wait=GO), x=1),
    "a value that says no, beside a step": asks_a_value(STEP, x=1),
    "the same after a pivot": asks_a_signal(pivot=True),
    "the same after a pivot, beside a step": asks_a_signal(pivot=True, beside=True),
}
"""Sagas that are restarted once, from any step, at any time."""
