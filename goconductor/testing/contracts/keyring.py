# ruff: noqa: S101 - assertions are what a suite is made of
"""What every keyring must do; the numbers are the duties of :class:`goconductor.ports.keyring.Keyring`."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import pytest

from goconductor.errors import SecretError
from goconductor.ports.keyring import Keyring
from goconductor.sealing import KEY_BYTES

Give = Callable[[Sequence[str]], Keyring]
ABOUT = b"secret\x00rabbitmq\x001"


class KeyringContract(ABC):
    """Subclass it as ``TestMyKeyring`` and give the fixtures ``give`` and ``unreachable``."""

    @pytest.fixture
    @abstractmethod
    def give(self) -> Give:
        """Provide a factory of keyrings, not open, that have the keys of these ids, each the same whenever it is named; the last
        is the newest.
        """

    @pytest.fixture
    @abstractmethod
    def unreachable(self) -> Keyring:
        """Provide one, not open, that cannot get its keys."""

    async def test_1_one_that_cannot_get_its_keys_says_so(self, unreachable: Keyring) -> None:
        with pytest.raises(SecretError, match=r"; "):
            await unreachable.open()
        await unreachable.close()

    async def test_2_a_data_key_is_wrapped_by_the_newest_and_never_the_same_way(self, give: Give) -> None:
        keyring, data_key = give(["k1", "k2"]), os.urandom(KEY_BYTES)
        await keyring.open()
        one, other = await keyring.wrap(data_key, ABOUT), await keyring.wrap(data_key, ABOUT)
        assert (keyring.newest, one.key_id, other.key_id) == ("k2", "k2", "k2")
        assert one.wrapped != other.wrapped
        assert data_key not in one.wrapped
        assert await keyring.unwrap(one, ABOUT) == await keyring.unwrap(other, ABOUT) == data_key
        await keyring.close()

    async def test_3_what_an_older_key_wrapped_is_unwrapped(self, give: Give) -> None:
        before, after, data_key = give(["k1"]), give(["k1", "k2"]), os.urandom(KEY_BYTES)
        await before.open()
        wrapped = await before.wrap(data_key, ABOUT)
        await before.close()
        await after.open()
        assert await after.unwrap(wrapped, ABOUT) == data_key
        await after.close()

    async def test_3_what_is_not_as_it_was_is_refused(self, give: Give) -> None:
        keyring = give(["k1", "k2"])
        await keyring.open()
        wrapped = await keyring.wrap(os.urandom(KEY_BYTES), ABOUT)
        text = wrapped.wrapped
        flipped = [text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :] for place in range(len(text))]
        for other in (b"", text[:1], text[:-1], text + b"\0", *flipped):
            with pytest.raises(SecretError):
                await keyring.unwrap(wrapped._replace(wrapped=other), ABOUT)
        with pytest.raises(SecretError):
            await keyring.unwrap(wrapped, ABOUT[:-1] + b"2")
        with pytest.raises(SecretError):
            await keyring.unwrap(wrapped._replace(key_id="k1"), ABOUT)
        await keyring.close()

    async def test_4_a_key_that_is_not_there_is_named(self, give: Give) -> None:
        before, after = give(["lost"]), give(["k2"])
        await before.open()
        wrapped = await before.wrap(os.urandom(KEY_BYTES), ABOUT)
        await before.close()
        await after.open()
        with pytest.raises(SecretError, match=r"'lost'.*k2"):
            await after.unwrap(wrapped, ABOUT)
        await after.close()

    async def test_6_it_may_be_closed_twice_and_says_that_it_is_not_open(self, give: Give) -> None:
        keyring = give(["k1"])
        await keyring.open()
        await keyring.close()
        await keyring.close()
        with pytest.raises(SecretError, match="is not open"):
            await keyring.wrap(os.urandom(KEY_BYTES), ABOUT)
