"""Wrapping keys in a variable of the environment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from goconductor.keyrings.environment import VARIABLE, EnvironmentKeyring
from goconductor.ports.keyring import Keyring
from goconductor.testing.contracts.keyring import Give, KeyringContract
from tests.contracts.wrapping_keys import text_of


class TestEnvironmentKeyring(KeyringContract):
    @pytest.fixture
    def give(self, monkeypatch: pytest.MonkeyPatch) -> Give:
        def made(ids: Sequence[str]) -> Keyring:
            variable = f"{VARIABLE}_{'_'.join(ids)}"
            monkeypatch.setenv(variable, text_of(ids))
            return EnvironmentKeyring(variable)

        return made

    @pytest.fixture
    def unreachable(self, monkeypatch: pytest.MonkeyPatch) -> Keyring:
        monkeypatch.delenv(VARIABLE, raising=False)
        return EnvironmentKeyring()
