"""What the shell offers after the tab key, asked as a shell asks."""

from __future__ import annotations

import socket

import pytest

from goconductor.cli import completion
from goconductor.control.settings.doors import RestSettings
from goconductor.engine.node import Node
from goconductor.saga.ids import DEFAULT_NAMESPACE
from tests.doors.conftest import INPUT
from tests.doors.prompt import CANARY, Prompt


def asked(line: str) -> dict[str, str]:
    """The environment in which bash asks what may follow."""
    return {
        "_GOCONDUCTOR_COMPLETE": "complete_bash",
        "COMP_WORDS": f"goconductor {line}",
        "COMP_CWORD": str(len(line.split(" "))),
    }


async def offered(prompt: Prompt, line: str) -> list[str]:
    answer = await Prompt(**prompt.environ, **asked(line)).ask()
    assert (answer.code, answer.err) == (0, "")
    return [line for line in answer.lines if line]


@pytest.mark.postgres
async def test_names_of_the_database_are_offered(command_line: Prompt, open_shop: Node) -> None:
    started = await open_shop.starting.start("order", INPUT)
    saga_id = str(started.saga_id)
    (definition,) = await open_shop.store.definitions.versions(DEFAULT_NAMESPACE)
    assert await offered(command_line, "saga start ") == ["order"]
    assert await offered(command_line, "saga list --saga o") == ["order"]
    assert await offered(command_line, "saga show ") == [saga_id]
    assert await offered(command_line, f"saga retry {saga_id} ") == ["reserve", "charge", "ship"]
    assert await offered(command_line, f"saga skip {saga_id} r") == ["reserve"]
    assert await offered(command_line, "definition show order --version ") == [definition.version]
    assert await offered(command_line, "definition activate order x") == []
    assert await offered(command_line, "saga retry 01920000-0000-7000-8000-000000000000 ") == []
    assert await offered(command_line, "saga retry nonsense ") == []


async def test_settings_are_offered_without_a_database() -> None:
    assert await offered(Prompt(), "config explain rest.") == [f"rest.{key}" for key in RestSettings.model_fields]
    assert "doctor" in await offered(Prompt(), "d")


async def test_where_nothing_can_be_asked_nothing_is_offered_and_nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "PATIENCE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        url = f"postgresql://u:{CANARY}@127.0.0.1:{silent.getsockname()[1]}/x"
        assert await offered(Prompt(GOCONDUCTOR_DATABASE_URL=url), "saga start ") == []
    assert await offered(Prompt(GOCONDUCTOR_DATABASE_URL=url), "saga show ") == []
    assert await offered(Prompt(), "saga start ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_the_shell_can_be_shown(shell: str) -> None:
    answer = Prompt(_GOCONDUCTOR_COMPLETE=f"source_{shell}").run()
    assert (answer.code, "_GOCONDUCTOR_COMPLETE" in answer.out) == (0, True)
