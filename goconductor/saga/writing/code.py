"""Code of steps, as a saga that is written in Python takes it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

from goconductor.saga.retry import Retry

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Code(Protocol):
    """What a saga asks of code that is at hand."""

    retry: Retry | None
    compensation_retry: Retry | None
    timeout_seconds: float | None
    compensation_function: Any

    @property
    def target(self) -> str: ...

    @property
    def parameters(self) -> Mapping[str, bool]: ...

    @property
    def returns(self) -> Any: ...

    def refusal_of(self, name: str, value: Any) -> str | None: ...

    def taken(self, name: str) -> Mapping[str, Any]: ...


class OwnCode(Code, Protocol[P, R_co]):
    """An action whose code is at hand: what :meth:`goconductor.Participant.step` returns for an ``async def``."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]: ...


class OwnPlainCode(Code, Protocol[P, R_co]):
    """The same for a plain ``def``."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
