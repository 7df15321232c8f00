"""The site builds without a complaint, has every page, and asks nothing of anybody else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT, build, copy
from tests.docs.page import DOCS

LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\"\s>]+)")


def in_navigation() -> Iterator[str]:
    def below(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            for each in entry.values():
                yield from below(each)
        elif isinstance(entry, list):
            for each in entry:
                yield from below(each)

    yield from below(tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"])


def test_every_page_is_in_the_navigation() -> None:
    assert sorted(in_navigation()) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_every_page_is_built(site: Path) -> None:
    missing = [page for page in in_navigation() if not (site / page).with_suffix(".html").exists()]
    assert missing == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = {address for page in site.rglob("*.html") for address in LOADED.findall(page.read_text("utf-8"))}
    assert loaded == set()


def test_no_page_has_what_makes_the_theme_fetch_a_library(site: Path) -> None:
    fetching = [
        page.name for page in site.rglob("*.html") if re.search(r'class="?(?:mermaid|glightbox)', page.read_text("utf-8"))
    ]
    assert fetching == []


def test_a_broken_link_fails(tmp_path: Path) -> None:
    folder = copy(tmp_path)
    with (folder / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write("\n[nowhere](no-such-page.md)\n")
    assert build(folder).returncode != 0


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_says_in_its_first_line_whom_it_is_for(page: Path) -> None:
    first = page.read_text("utf-8").split("\n\n")[1]
    assert re.match(r"This (page|site) is for ", first), first[:100]
