"""What the architecture's page says of leaves, files and bands is so."""

from __future__ import annotations

import re
import tomllib

from tests.docs.page import DOCS

ROOT = DOCS.parent
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PACKAGE = ROOT / "goconductor"


def test_it_lists_the_leaves_that_there_are() -> None:
    rows = dict(re.findall(r"^\| `ports/(\w+)(?:\.py|/)` \| ((?:`\w+`(?:, )?)+) \|$", PAGE, re.MULTILINE))
    listed = {port: set(re.findall(r"`(\w+)`", leaves)) for port, leaves in rows.items()}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    plural = {"bus": "buses", "store": "stores", "election": "elections", "journal": "journals", "keyring": "keyrings"}
    assert listed == {port: set(groups[f"goconductor.{folder}"]) for port, folder in plural.items()}


def test_the_files_that_it_names_are_there() -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py|(?:[a-z_]+/)+)`", PAGE))
    banded = [PACKAGE / band for band in ("saga", "lifecycle", "engine", "control")]
    stores = [*(PACKAGE / "stores" / "postgres" / room for room in (".", "log")), PACKAGE / "testing" / "contracts" / "store"]
    folders = (ROOT, PACKAGE, PACKAGE / "cli", *stores, *(folder for band in banded for folder in (band, *band.iterdir())))
    assert [name for name in sorted(named) if not any((folder / name).exists() for folder in folders)] == []


def test_the_files_that_the_lists_of_changes_name_are_there() -> None:
    """Who renames a file finds the list of CONTRIBUTING.md that names it; ``pulsar`` is the example of what is to be written."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Change the tables")[0]
    named = set(re.findall(r"`((?:[a-z_.]+/)+[a-z0-9_]+\.\w+|(?:[a-z_.]+/)+)`", page))
    folders = (ROOT, PACKAGE, ROOT / "tests" / "simulation")
    gone = [name for name in sorted(named) if "pulsar" not in name and not any((folder / name).exists() for folder in folders)]
    assert len(named) > 80, "the pattern finds what the page names"
    assert gone == []


def test_every_part_of_the_package_has_its_place_in_the_bands() -> None:
    bands = PAGE.partition("## ")[0]
    parts = {path.stem for path in PACKAGE.iterdir() if path.stem not in {"__init__", "__pycache__", "py"}}
    assert {part for part in parts if not re.search(rf"\b{part}\b", bands)} == set()
