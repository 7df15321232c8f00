"""What the command line says to nonsense: a line with the place and the remedy, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doors.prompt import Prompt

AWAY = "postgresql://nobody@127.0.0.1:1/nothing"
FILES = {
    "cut.yaml": b"steps: [1,\n b: {",
    "empty.yaml": b"",
    "bytes.yaml": b"\xff\xfe\x00\x01",
    "list.yaml": b"[1, 2]",
    "types.yaml": b"name: 5\nsteps: 7\n",
    "keys.yaml": b"name: 2020-01-01\nsteps: [{id: 2020-01-01, run: 3}]\n? [1]\n: 2",
    "round.yaml": b"a: &a [*a]\n",
    "deep.yaml": b"[" * 5000,
    "plain.py": b"saga = 1\n",
    "broken.py": b"def (",
    "raises.py": b"raise SystemExit(3)",
}
MODULES = ["plain:saga", "broken:saga", "raises:saga", "nowhere:saga"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(prompt: Prompt, typed: tuple[str, ...]) -> None:
    answer = prompt.run(*typed)  # raises what the command raises
    assert answer.code in range(5), typed
    assert "Traceback" not in answer.out + answer.err, typed
    assert "unforeseen" not in answer.err, typed
    assert answer.code == 0 or answer.err or answer.out, typed


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", ["check", "register", "diagram"])
def test_a_file_that_is_none_is_answered_by_a_line(command: str) -> None:
    names = [*FILES, "\0.yaml", "\udcff.yaml", "folder/", "./", "no.yaml", *(MODULES if command == "register" else [])]
    for name in names:
        ask(Prompt(GOCONDUCTOR_DATABASE_URL="nonsense"), ("definition", command, "--", name))


@pytest.mark.parametrize("option", ["--started-after", "--started-before", "--updated-after", "--updated-before"])
@pytest.mark.parametrize("text", ["", "yesterday", "9" * 400])
def test_a_time_that_is_none_is_answered_by_a_line(option: str, text: str) -> None:
    answer = Prompt(GOCONDUCTOR_DATABASE_URL=AWAY).run("saga", "list", option, text)
    assert (answer.code, f"{option} " in answer.err, "is no time" in answer.err) == (2, True, True)


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        (("saga", "list", "--status", "compleetd"), "completed"),
        (("definition", "diagram", "order.yaml", "--form", "svgg"), "svg"),
        (("config", "explain", "database.ulr"), "database.url"),
    ],
)
def test_a_misspelt_word_is_told_the_nearest(typed: tuple[str, ...], near: str) -> None:
    answer = Prompt(GOCONDUCTOR_DATABASE_URL=AWAY).run(*typed)
    assert answer.code == 2
    assert f"did you mean {near}" in " ".join(answer.err.split())
