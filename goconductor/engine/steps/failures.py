"""Makes a :class:`Failure` of an exception of user code, which can be kept, sent and shown.

There are three rules. An exception that decides what follows (:class:`StepError`) does so inside an ``ExceptionGroup`` as well,
since a ``TaskGroup`` would hide it. All but a refusal keep their traceback, from the step's own code on and bounded. No password
of a url is kept, neither in the text nor in a line of source.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from goconductor.errors import PayloadError, PermanentError, RefusedError, StepError, TemporaryError, without_passwords
from goconductor.lifecycle.facts.state import Failure

MESSAGE_MAX = 2_000
"""Characters of an exception's text that are kept."""

TRACEBACK_MAX = 4_000
"""Characters of a traceback that are kept, its end: where it was raised, and what."""

FRAMES_MAX = 30
"""Calls of a traceback that are kept, the innermost ones."""

PARTS_MAX = 5
"""Exceptions of a group that are named in its text."""

DELAY_SECONDS_MAX = 10 * 366 * 86400.0
"""Greatest wait that a step may ask for, in seconds: infinity can neither be stored nor reached."""


def failure_of(error: BaseException, function: Callable[..., Any] | None = None) -> Failure:
    """Return the failure of an exception, as it crosses the bus and stands in the log.

    Args:
        error: the exception of user code.
        function: that code: the traceback begins there.
    """
    answer = answer_in(error)
    text = _kept(text_of(error) if answer is None else text_of(answer))[:MESSAGE_MAX]
    final = isinstance(answer, PermanentError | PayloadError)
    return Failure(type(answer or error).__name__, text, retryable=not final, traceback=traceback_of(error, function))


def names_of(error: BaseException) -> list[frozenset[str]]:
    """Return the names by which a policy may know an error: of its type, and of all types that this derives from.

    A group is each of the errors in it, under the group's names as well; where one of them is an answer, it is that alone.
    """
    if (answer := answer_in(error)) is not None:
        return [_names(answer)]
    own = _names(error)
    return [own | _names(each) for each in _leaves(error)]


def _names(error: BaseException) -> frozenset[str]:
    return frozenset(kind.__name__ for kind in type(error).__mro__)


def answer_in(error: BaseException) -> StepError | PayloadError | None:
    """Return the answer in an exception: itself, or of a group the strictest answer in it.

    A refusal comes before other permanent failures, these before temporary ones, of which the one with the longest wait counts.
    """
    answers = [each for each in _leaves(error) if isinstance(each, StepError | PayloadError)]
    return max(answers, key=_strictness, default=None)


def _strictness(answer: StepError | PayloadError) -> tuple[int, float]:
    if isinstance(answer, RefusedError):
        return 3, 0.0
    if isinstance(answer, PermanentError | PayloadError):
        return 2, 0.0
    return (1, _delay(answer) or 0.0) if isinstance(answer, TemporaryError) else (0, 0.0)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def is_unexpected(error: BaseException) -> bool:
    """Return whether it, or a part of it, was not raised as an answer, so that its traceback is of interest."""
    return not all(isinstance(each, StepError | PayloadError) for each in _leaves(error))


def is_refusal(error: BaseException) -> bool:
    """Return whether the business refused, and nothing else went wrong beside it."""
    return isinstance(answer_in(error), RefusedError) and not is_unexpected(error)


def text_of(error: BaseException) -> str:
    """Return an exception's text, and of a group that of its parts; it is user code as well, and may raise."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001
        return f"(its text cannot be had: {type(broken).__name__})"
    if isinstance(error, BaseExceptionGroup):
        parts = list(_leaves(error))
        named = "; ".join(f"{type(each).__name__}: {text_of(each)}"[:MESSAGE_MAX] for each in parts[:PARTS_MAX])
        return f"{text}: {named}{'; …' if len(parts) > PARTS_MAX else ''}"
    return text


def delay_of(error: BaseException) -> float | None:
    """Return the wait that a step asked for, in seconds; None where that is no sensible number, so that the policy counts."""
    return _delay(answer_in(error))


def _delay(answer: BaseException | None) -> float | None:
    delay = getattr(answer, "delay_seconds", None) if isinstance(answer, TemporaryError) else None
    sensible = isinstance(delay, int | float) and 0 <= delay <= DELAY_SECONDS_MAX
    return float(delay) if delay is not None and sensible else None


def traceback_of(error: BaseException, function: Callable[..., Any] | None = None) -> str:
    """Return where it was raised, as Python prints it, from the step's own code on; empty for a refusal, which is an answer.

    Args:
        error: the exception.
        function: the step's code; without it, or where the exception never came through it, all calls are shown.
    """
    if (elsewhere := getattr(error, "traceback_elsewhere", None)) is not None:
        return _kept(str(elsewhere))[-TRACEBACK_MAX:]
    if is_refusal(error) or (isinstance(error, PayloadError) and _own_part(error, function) is None):
        return ""
    try:
        shown, begins = _own_part(error, function) or (error, error.__traceback__)
        lines = "".join(traceback.TracebackException(type(shown), shown, begins, limit=-FRAMES_MAX, compact=True).format())
    except Exception as broken:  # noqa: BLE001  (formatting calls user code, such as a text or a loader of source)
        return f"(its traceback cannot be had: {type(broken).__name__})"
    if shown is not error:
        lines += f"{type(error).__name__}: {text_of(error)}\n"
    lines = _kept(lines.rstrip())
    return lines if len(lines) <= TRACEBACK_MAX else f"…{lines[-TRACEBACK_MAX:]}"


def _own_part(error: BaseException, function: Callable[..., Any] | None) -> tuple[BaseException, TracebackType] | None:
    """Return the first of a chain of exceptions that came through the step's code, and its traceback from there on."""
    code = getattr(function, "__code__", None)
    seen: set[int] = set()
    each: BaseException | None = error
    while code is not None and each is not None and id(each) not in seen:
        seen.add(id(each))
        frame = each.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code is code:
                return each, frame
            frame = frame.tb_next
        each = each.__cause__ or each.__context__
    return None


def _kept(text: str) -> str:
    """Return a text that PostgreSQL and JSON can keep, without passwords."""
    printable = text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return without_passwords(printable)
