"""What the command line says to nonsense: a line with the place and the remedy, and never a traceback."""

from __future__ import annotations

import pytest

from tests.doors.prompt import Prompt


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        (("saga", "list", "--status", "compleetd"), "completed"),
        (("definition", "diagram", "order.yaml", "--form", "svgg"), "svg"),
        (("config", "explain", "database.ulr"), "database.url"),
    ],
)
def test_a_misspelt_word_is_told_the_nearest(typed: tuple[str, ...], near: str) -> None:
    answer = Prompt(GOCONDUCTOR_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing").run(*typed)
    assert answer.code == 2
    assert f"did you mean {near}" in " ".join(answer.err.split())
