"""Wrapping keys in a file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import pytest

from goconductor.errors import SecretError
from goconductor.keyrings.file import FileKeyring
from goconductor.ports.keyring import Keyring
from goconductor.testing.contracts.keyring import Give, KeyringContract
from tests.contracts.wrapping_keys import text_of

CANARY = "Q2FOYVJ5SW5UaGVNaW5l"


class TestFileKeyring(KeyringContract):
    @pytest.fixture
    def give(self, tmp_path: Path) -> Give:
        def made(ids: Sequence[str]) -> Keyring:
            path = tmp_path / "-".join(ids)
            path.write_text(text_of(ids))
            return FileKeyring(str(path))

        return made

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> Keyring:
        return FileKeyring(str(tmp_path / "nowhere"))


async def test_comments_and_several_on_a_line_are_read(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# rotated in June\n\n{' '.join(text_of(['k1', 'k2']).split())}  # both\r\n{text_of(['k3'])}\n")
    keyring = FileKeyring(str(path))
    await keyring.open()
    assert keyring.newest == "k3"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "there is no wrapping key in the file"),
        (b"# nothing\n", "there is no wrapping key in the file"),
        (CANARY.encode(), r"key 1 of the file .* has no id"),
        (f"a b:{CANARY}".encode(), r"key 1 of the file .* has no id"),
        (f":{CANARY}".encode(), r"key 1 of the file .* has no id"),
        (f"k1:{CANARY}".encode(), r"key 1 of the file .*, k1, is not 32 bytes in Base64"),
        (f"k1:{CANARY}!".encode(), r"k1, is not 32 bytes"),
        (text_of(["k1", "k1"]).encode(), "two keys of the file .* have the id k1"),
        (b"k1:\xff", "has other than ASCII"),
        (b"#" * (1024 * 1024 + 1), "is larger than 1 MiB"),
    ],
)
async def test_what_is_no_key_is_refused_and_not_quoted(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(SecretError, match=problem) as refused:
        await FileKeyring(str(path)).open()
    assert CANARY not in str(refused.value)


async def test_no_key_is_shown(tmp_path: Path) -> None:
    text = text_of(["k1"])
    (tmp_path / "keys").write_text(text)
    keyring = FileKeyring(str(tmp_path / "keys"))
    await keyring.open()
    key = text.strip().partition(":")[2]
    assert key not in repr(keyring)
    assert repr(base64.b64decode(key)) not in repr(keyring)
    assert "keys" in repr(keyring)
