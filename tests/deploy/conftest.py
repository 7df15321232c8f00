"""Helm, where it can be had. Without it the kept renderings are tested all the same; a line of the summary says what was not."""

from __future__ import annotations

import os

import pytest

from goconductor.errors import ConfigurationError
from tests.deploy.helm import Helm, find_helm


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The program; its tests fail without it where GOCONDUCTOR_TEST_HELM is set, as `make test-all` does."""
    try:
        return find_helm()
    except ConfigurationError as error:
        if os.environ.get("GOCONDUCTOR_TEST_HELM"):
            raise
        pytest.skip(f"the chart was not rendered anew, and no refusal of it was tried. {error}")
