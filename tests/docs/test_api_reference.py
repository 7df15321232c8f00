"""The API reference has every public name, and shows docstrings as Markdown."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from tests.docs.page import DOCS
from tests.tidy.test_api import OFFERED

PAGES = {
    "goconductor": "goconductor",
    "goconductor.blocking": "blocking",
    "goconductor.buses.shared": "buses-shared",
    "goconductor.grpc": "grpc",
    "goconductor.journals": "journals",
    "goconductor.outbox": "outbox",
    "goconductor.ports": "ports",
    "goconductor.testing": "testing",
    "goconductor.worker": "worker",
}


def shown(site: Path, place: str) -> str:
    return (site / "api" / PAGES[place]).with_suffix(".html").read_text("utf-8")


def test_each_package_of_the_face_has_its_page() -> None:
    assert sorted(PAGES) == sorted(OFFERED)
    assert sorted(PAGES.values()) == sorted(page.stem for page in (DOCS / "api").glob("*.md"))


@pytest.mark.parametrize("place", PAGES)
def test_every_public_name_is_in_the_reference(site: Path, place: str) -> None:
    places = set(re.findall(r"\bid=\"?([\w.]+)", shown(site, place)))
    assert sorted({f"{place}.{name}" for name in OFFERED[place]} - places) == []


@pytest.mark.parametrize("place", PAGES)
def test_no_markup_of_another_language_is_left(site: Path, place: str) -> None:
    text = unescape(re.sub(r"<pre.*?</pre>|<code.*?</code>|<[^>]+>", "", shown(site, place), flags=re.DOTALL))
    assert re.findall(r".{0,60}(?::(?:attr|class|data|func|meth|mod):|::).{0,60}", text) == []


def test_a_method_is_shown_with_its_arguments_and_what_it_raises(site: Path) -> None:
    text = unescape(re.sub(r"<[^>]+>", "", shown(site, "goconductor")))
    result = text[text.index("Wait for the saga's result") :]
    assert re.search(r"Parameters:\s+timeout_seconds\s.*?Raises:\s+CompensatedError\s", result, re.DOTALL)
