"""The options of a step of a saga written in Python, and their types."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import NoneType
from typing import Any

from goconductor.errors import ArgumentError, check_type, nearest, unfit
from goconductor.saga.definition import NOTHING, Lock
from goconductor.saga.retry import Retry
from goconductor.saga.writing.undo import Undo

_WANTED: dict[str, tuple[tuple[type, ...], str]] = {
    "id": ((str, NoneType), "the step's id in the saga, such as 'charge'"),
    "inputs": ((Mapping,), "a dict: parameter → a place (order.input.sku, paid.output) or a constant"),
    "after": ((Sequence,), "a list of steps: after=[reserved]"),
    "where": ((str, NoneType), "a CEL condition as a text, such as 'payload.total > 0'"),
    "when": ((str, NoneType), "a CEL condition as a text, such as 'input.total > 0'"),
    "compensation": ((bool, NoneType), "True or False; leave it out where only the owner knows"),
    "undo": ((Undo, str, NoneType), "Undo('payments.refund', inputs=…), or 'none' where there is nothing to undo"),
    "pivot": ((bool,), "True or False"),
    "retry": ((Retry, NoneType), "Retry(attempts_max=…)"),
    "compensation_retry": ((Retry, NoneType), "Retry(attempts_max=…)"),
    "timeout": ((int, float, str, NoneType), "seconds, or a text such as '10s'"),
    "total_timeout": ((int, float, str, NoneType), "seconds, or a text such as '10m'"),
    "allow_fail": ((bool,), "True or False"),
    "fallback": ((object,), "what saga.step(…) has returned for the other step: fallback=invoiced"),
    "join": ((int, str), "'all', 'any', or how many items must succeed"),
    "delay": ((int, float, str, NoneType), "seconds, or a text such as '30s'"),
    "at_max": ((str,), "'fail' or 'go_on'"),
    "concurrency": ((int, NoneType), "how many items may be at work at one time"),
    "unknowns_max": ((int, NoneType), "a whole number"),
    "locks": ((Sequence,), "a list of locks: locks=[Lock('account:{input.account_id}')]"),
}


def check_options(options: Mapping[str, Any], is_step: Callable[[object], bool], known: Collection[str] = _WANTED.keys()) -> None:
    """Refuse an option of a step that there is not, or whose value is of another type.

    Args:
        options: by their names.
        is_step: whether something is a step of a saga.
        known: the names that there are.

    Raises:
        ArgumentError: names the option and what to give.
    """
    for name, value in options.items():
        if name not in known:
            raise ArgumentError(f"a step has no option {name!r}; {nearest(name, known)}")
        kinds, wanted = _WANTED[name]
        if name == "after" and isinstance(value, str):
            raise unfit(name, value, wanted)
        check_type(name, value, kinds, wanted)
    for number, step in enumerate(options.get("after", ())):
        if not is_step(step):
            raise unfit(f"after[{number}]", step, "what saga.step(…) has returned: after=[reserved]")
    check_locks(options.get("locks", ()))
    if isinstance(undo := options.get("undo"), str) and undo != NOTHING:
        raise unfit("undo", undo, _WANTED["undo"][1])
    if isinstance(join := options.get("join"), str) and join not in {"all", "any"}:
        raise unfit("join", join, _WANTED["join"][1])
    if options.get("at_max", "fail") not in {"fail", "go_on"}:
        raise unfit("at_max", options["at_max"], _WANTED["at_max"][1])
    if (fallback := options.get("fallback")) is not None and not is_step(fallback):
        raise unfit("fallback", fallback, _WANTED["fallback"][1])
    for parameter in options.get("inputs", {}):
        check_type("a key of inputs", parameter, str, "the name of a parameter")


def check_locks(locks: Sequence[object]) -> None:
    """Refuse what is no list of locks.

    Raises:
        ArgumentError: names the place and what to give.
    """
    if isinstance(locks, str):
        raise unfit("locks", locks, _WANTED["locks"][1])
    for number, lock in enumerate(locks):
        check_type(f"locks[{number}]", lock, Lock, "Lock('account:{input.account_id}')")
        if isinstance(lock, Lock):
            check_type(f"the key of locks[{number}]", lock.key, str, "a text such as 'account:{input.account_id}'")
            if lock.mode not in ("exclusive", "shared"):
                raise unfit(f"the mode of locks[{number}]", lock.mode, "'exclusive' or 'shared'")
