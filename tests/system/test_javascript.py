"""A script as a step: one value of others, in a process of its own, within bounds."""

from __future__ import annotations

import os
from typing import Any

import pytest

from goconductor import DefinitionError, PermanentError, Saga, Settings, load_definition
from goconductor.leaves import make_system
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.system.javascript.steps import JavascriptSteps
from goconductor.system.participant import made
from goconductor.testing import World
from goconductor.testing.world import step_context
from tests.system.conftest import CANARY
from tests.system.test_checking import definition

CONTEXT = step_context("total")
SCRIPTS = JavascriptSteps(seconds=5, bytes_max=16 * 1024 * 1024, output_bytes_max=1_000)
TOTAL = "return inputs.lines.reduce((sum, line) => sum + line.price * line.count, 0);"


async def result(code: str, scripts: JavascriptSteps = SCRIPTS, **inputs: Any) -> Any:
    return await scripts.run({"code": code, **inputs}, CONTEXT)


async def refusal(code: str, scripts: JavascriptSteps = SCRIPTS, **inputs: Any) -> str:
    with pytest.raises(PermanentError) as refused:
        await result(code, scripts, **inputs)
    return str(refused.value)


async def test_a_script_makes_one_value_of_others() -> None:
    assert await result(TOTAL, lines=[{"price": 250, "count": 2}, {"price": 100, "count": 1}]) == 600


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return inputs.a;", {"b": [None, True, "ü\u2028 \U0001f600", 1.5, -0.25, 2**53 - 1]}),
        ("return [inputs.a, inputs.a].length;", 2),
        ("return undefined;", None),
        ("if (inputs.a) return 'yes'; // a comment ends with its line", "yes"),
        ("return typeof require + typeof process + typeof fetch + typeof std + typeof os;", "undefined" * 5),
        ("return this === undefined;", True),
    ],
)
async def test_values_come_back_as_json_has_them(code: str, value: Any) -> None:
    assert await result(code, a=value) == value


async def test_a_script_sees_nothing_of_another_call_nor_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    await result("globalThis.left = 1; return 0;")
    assert await result("return [typeof left, Object.keys(globalThis).sort()];") == ["undefined", ["performance"]]
    assert os.environ["SHOP_TOKEN"] == CANARY


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("return nothing.here;", "the script failed: ReferenceError: nothing is not defined"),
        ("return {;", "the script failed: SyntaxError"),
        ("throw new Error('no stock');", "the script failed: Error: no stock"),
        ("return Promise.resolve(1);", "it returns a promise; a script waits for nothing"),
        ("const f = () => f(); return f();", "the script failed:"),
        ("return 'x'.repeat(2000);", "the script failed: what it returns is more than 1,000 bytes as JSON"),
        ("return '\\0';", "what the script returns cannot be kept: $: holds a NUL character"),
    ],
)
async def test_what_a_script_does_wrong_is_told(code: str, problem: str) -> None:
    assert problem in await refusal(code)


async def test_a_whole_number_that_a_script_would_change_is_refused() -> None:
    assert "an input cannot be given to a script: $.n: is an integer beyond" in await refusal("return inputs.n;", n=2**53)


async def test_a_script_that_takes_more_time_than_it_may_is_ended() -> None:
    scripts = JavascriptSteps(seconds=0.1, bytes_max=16 * 1024 * 1024, output_bytes_max=1_000)
    problem = await refusal("let n = 0; for (let i = 0; i < 1e9; i++) n += i; return n;", scripts)
    assert "interrupted" in problem or "too much memory or time" in problem


async def test_a_script_that_takes_more_memory_than_it_may_is_ended() -> None:
    scripts = JavascriptSteps(seconds=5, bytes_max=4 * 1024 * 1024, output_bytes_max=1_000)
    assert "out of memory" in await refusal("return new Array(1e6).fill(0).length;", scripts)
    assert await result("return new Array(1e3).fill(0).length;", scripts) == 1_000


async def test_a_saga_runs_a_script() -> None:
    order: Saga[Any, Any] = Saga("order")
    total = order.step("system.javascript", id="total", inputs={"code": TOTAL, "lines": order.input.lines})
    order.returns(total.output)

    async def send(messages: Any) -> None:
        raise AssertionError(messages)

    async with World() as world:
        await world.node(made([], [], {}, send, SCRIPTS, answer_bytes_max=1_000))
        state = await world.end_of(await world.start(order, {"lines": [{"price": 5, "count": 3}]}))
    assert state.phase is SagaStatus.COMPLETED
    assert state.step("total").output == 15


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({}, "has no input 'code'; add it."),
        ({"code": {"ref": "$.input.code"}}, "its input 'code' is a reference; it must be a constant"),
        ({"code": {"value": 3}}, "its inputs do not fit: Expected `str`, got `int`"),
        ({"code": {"value": "1 + 1"}}, "its code returns nothing; write the body of a function"),
        ({"code": {"value": f"return 1;{' ' * 70_000}"}}, "its code has 70,009 characters, at most 65,536 are allowed"),
    ],
)
def test_a_script_that_does_not_fit_is_refused(inputs: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        load_definition(definition(inputs, "system.javascript"))
    assert f"step 'call' runs 'system.javascript', but {problem}" in refused.value.problems[0]


def test_scripts_are_off_unless_the_settings_allow_them() -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}

    async def send(messages: Any) -> None:
        raise AssertionError(messages)

    assert [*make_system(Settings.load(environ=environ), send).steps] == ["http", "publish"]
    allowed = Settings.load(environ=environ | {"GOCONDUCTOR_SYSTEM_JAVASCRIPT": "true"})
    assert [*make_system(allowed, send).steps] == ["http", "publish", "javascript"]
