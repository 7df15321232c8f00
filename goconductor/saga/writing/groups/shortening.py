"""Names in a written definition made as short as they can be: what stands beside a step is named by its own id alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from goconductor.errors import PayloadError
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Step, Undo, with_body
from goconductor.saga.expressions.condition_text import renamed
from goconductor.saga.writing.groups.forms import Case, WrittenDefinition, WrittenStep, below, of_steps
from goconductor.saga.writing.groups.names import Names


def shortened(definition: WrittenDefinition, *, full_names: bool) -> WrittenDefinition:
    """Return a definition that gives full names with shorter ones that mean the same, most probably: who calls compares versions.

    Args:
        definition: as :mod:`goconductor.saga.writing.groups.restoring` has read it.
        full_names: whether only ``after`` (which then names groups, not their last steps) and conditions are written anew.
    """
    short = _Shortener(Names(definition.steps, full_names=False), keeps=full_names)
    output = definition.output
    return replace(
        definition,
        steps=short.steps(definition.steps, ""),
        output=output if output is None or full_names else short.binding(output, ""),
    )


class _Shortener:
    def __init__(self, names: Names, *, keeps: bool) -> None:
        self._names, self._keeps = names, keeps
        self._meaning: dict[str, str] = {}
        """For the output of each step the outermost group or case that gives it."""
        for full, step in names.outputs.items():
            self._meaning[step] = min(self._meaning.get(step, full), full, key=len)
        self._frames: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        """By the first of its ends each group, switch and case, those with the most ends first, then the outermost."""
        frames = ((full, ends) for full, ends in names.ends.items() if ends != (full,))
        for full, ends in sorted(frames, key=lambda frame: (-len(frame[1]), len(frame[0]))):
            self._frames.setdefault(ends[0], []).append((full, ends))

    def steps(self, steps: Sequence[WrittenStep], path: str) -> tuple[WrittenStep, ...]:
        return tuple(self._one(step, path) for step in steps)

    def _one(self, step: WrittenStep, path: str) -> WrittenStep:
        name = below(path, step.id)
        bound: Callable[[Binding], Binding] = (lambda each: each) if self._keeps else (lambda each: self.binding(each, path))
        wait, delay, undo = step.wait, step.delay, step.undo
        if wait is not None and wait.where is not None:
            wait = replace(wait, where=self._text(wait.where, path))
        if delay is not None and delay.until is not None:
            delay = replace(delay, until=bound(Binding(ref=delay.until)).ref)
        if isinstance(undo, Undo):
            undo = replace(undo, inputs={key: bound(each) for key, each in undo.inputs.items()})
        made = replace(
            step,
            after=tuple(self._after(step.after, name, path)),
            inputs={key: bound(each) for key, each in step.inputs.items()} if step.inputs else step.inputs,
            when=None if step.when is None else self._text(step.when, path),
            value=None if step.value is None else self._text(step.value, path),
            fallback=step.fallback if step.fallback is None or self._keeps else self._fallback(step.fallback, path),
            wait=wait,
            delay=delay,
            undo=undo,
            steps=None if step.steps is None else self.steps(step.steps, name),
            switch=None if step.switch is None else tuple(self._case(case, name, path) for case in step.switch),
        )
        return self._grown(made, path, bound) if step.body else made

    def _case(self, case: Case, switch: str, path: str) -> Case:
        when = None if case.when is None else self._text(case.when, path)
        return replace(case, when=when, steps=self.steps(case.steps, below(switch, case.case)))

    def _grown(self, step: WrittenStep, path: str, bound: Callable[[Binding], Binding]) -> WrittenStep:
        body = of_steps(step.body)
        inner = _Shortener(self._names.inside(body, path), keeps=self._keeps)
        if step.map is not None:
            step = replace(step, map=replace(step.map, over=bound(Binding(ref=step.map.over)).ref or ""))
        if step.repeat is not None:
            step = replace(step, repeat=replace(step.repeat, until=inner._text(step.repeat.until, "")))
        made: Step = with_body(step, inner.steps(body, ""))
        assert isinstance(made, WrittenStep)  # noqa: S101  (with_body keeps the class)
        return made

    def binding(self, binding: Binding, path: str) -> Binding:
        """Return a binding by the shortest name of its step."""
        try:
            reference = None if binding.ref is None else Reference.parse(binding.ref)
        except PayloadError:
            return binding
        if reference is None or reference.step is None or (name := self._name(reference.step, path)) == reference.step:
            return binding
        return replace(binding, ref=str(Reference.to("steps", name, *reference.keys)))

    def _text(self, source: str, path: str) -> str:
        return renamed(source, lambda name: self._name(name, path), by_dots=True)

    def _name(self, step: str, path: str) -> str:
        """Return the shortest name by which a step's output can be meant at a place."""
        if "." not in step:
            return step
        group = self._meaning.get(step, step)
        wanted = step if _is_in(path, group) else group
        return next((name for name in _suffixes(wanted) if self._names.output(name, path, of_text=True) == (step, False)), step)

    def _fallback(self, step: str, path: str) -> str:
        """Return the shortest name of a fallback: that of the step, as a group may have more steps than this one."""
        return next((name for name in _suffixes(step) if self._names.fallback(name, path) == (step, False)), step)

    def _after(self, after: Sequence[str], own: str, path: str) -> Iterator[str]:
        """Yield what a step comes after: groups and switches where all of their ends are named one after the other."""
        place = 0
        while place < len(after):
            frames = self._frames.get(after[place], ())
            fits = ((full, ends) for full, ends in frames if after[place : place + len(ends)] == ends and not _is_in(own, full))
            name, ends = next(fits, (after[place], after[place : place + 1]))
            place += len(ends)
            short = (each for each in _suffixes(name) if self._names.ends_of(each, path) == ends)
            yield name if self._keeps else next(short, name)


def _is_in(path: str, frame: str) -> bool:
    return path == frame or path.startswith(f"{frame}.")


def _suffixes(name: str) -> Iterator[str]:
    """Yield the ends of a name at its dots, the shortest first."""
    parts = name.split(".")
    yield from (".".join(parts[place:]) for place in range(len(parts) - 1, -1, -1))
