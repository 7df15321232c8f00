"""Settings that a program makes by itself, without a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from goconductor.control.settings.settings import Settings
from goconductor.errors import ConfigurationError
from tests.control.test_settings import CANARY, NO_URL, URL


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({}, ["database: is not set; set it in Settings(…)"]),
        ({"database": {}}, ["database.url: is not set; set it in Settings(…)"]),
        ({"database": {"url": f"mysql://app:{CANARY}@db/sagas"}}, [f"Settings(…): database.url: {NO_URL}"]),
        (
            {"database": {"url": URL, "pool": CANARY}, "participant": {"threads": 0}},
            [
                "Settings(…): database.pool: there is no such setting",
                "Settings(…): participant.threads: should be at least 1",
            ],
        ),
    ],
)
def test_settings_made_by_hand_are_refused_like_those_of_a_file(sections: dict[str, Any], says: list[str]) -> None:
    made: tuple[Callable[[], Settings], ...] = (lambda: Settings(**sections), lambda: Settings.model_validate(sections))
    for make in made:
        with pytest.raises(ConfigurationError) as caught:
            make()
        first, *lines = str(caught.value).splitlines()
        assert first == "the settings cannot be used:"
        assert [line.split(". ", 1)[1][: len(text)] for line, text in zip(lines, says, strict=True)] == says
        assert CANARY not in str(caught.value)
        assert caught.value.__cause__ is None
