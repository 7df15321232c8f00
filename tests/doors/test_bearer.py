"""What a client shows: keys, and tokens of a file or a function, which change while it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from goconductor.control.actor import Actor
from goconductor.control.authority import authenticating
from goconductor.control.authority.authenticating import UnauthenticatedError
from goconductor.control.authority.bearer import Bearer
from goconductor.control.authority.keys import revoke_key
from goconductor.control.settings.settings import Settings
from goconductor.errors import ArgumentError, ConfigurationError
from goconductor.grpc import Client
from goconductor.grpc.door import Door
from tests.doors.auth import key_of
from tests.doors.conftest import Shop
from tests.doors.test_grpc_auth import door  # noqa: F401  (a fixture)


async def shown(bearer: Bearer) -> str | None:
    metadata = await bearer.metadata()
    return None if metadata is None else metadata[0][1]


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOCONDUCTOR_API_KEY", raising=False)
    file, next_one = tmp_path / "token", tmp_path / "next"
    file.write_text("first\n")
    bearer = Bearer(None, file)
    assert await shown(bearer) == "Bearer first"
    next_one.write_text("other\n")
    next_one.replace(file)  # as Kubernetes does
    assert await shown(bearer) == "Bearer other"
    file.unlink()
    assert await shown(bearer) == "Bearer other"  # until there is another one
    with pytest.raises(ConfigurationError, match="No such file"):
        await shown(Bearer(None, file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="holds no token"):
        await shown(Bearer(None, file))


async def test_variables_say_what_is_shown_where_nothing_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOCONDUCTOR_API_KEY", raising=False)
    assert await shown(Bearer(None, None)) is None
    (tmp_path / "token").write_text("of-a-file")
    monkeypatch.setenv("GOCONDUCTOR_TOKEN_FILE", str(tmp_path / "token"))
    assert await shown(Bearer(None, None)) == "Bearer of-a-file"
    monkeypatch.setenv("GOCONDUCTOR_API_KEY", "gck_x")
    assert await shown(Bearer(None, None)) == "Bearer gck_x"
    assert await shown(Bearer(None, lambda: "mine")) == "Bearer mine"
    assert await shown(Bearer("", None)) is None
    variables = {"GOCONDUCTOR_DATABASE_URL": "postgresql://h/d", "GOCONDUCTOR_TOKEN_FILE": "/x"}
    assert Settings.load(environ=variables).warnings == []


async def test_what_is_no_token_is_refused_and_not_shown() -> None:
    for wrong in ("canary\nx", "canar\u00fd", 17):
        with pytest.raises(ConfigurationError) as refused:
            await shown(Bearer(None, lambda wrong=wrong: wrong))
        assert "canar" not in str(refused.value)
    with pytest.raises(ArgumentError):
        Bearer("gck_x", lambda: "x")
    with pytest.raises(ArgumentError):
        Bearer(None, "/a/path")  # type: ignore[arg-type]


async def test_a_watch_whose_key_ends_goes_on_with_the_next(
    shop: Shop,
    door: Door,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authenticating, "READ_SECONDS", 0.0)
    monkeypatch.setattr(authenticating, "LOOK_SECONDS", 0.01)
    saga_id = (await shop.start(card="busy"))["saga_id"]
    keys = [await key_of(shop.server, "viewer") for _ in range(2)]
    asked: list[str] = []
    first, again = asyncio.Event(), asyncio.Event()

    async def token() -> str:
        asked.append(keys[min(len(asked), 1)])
        if len(asked) > 1:
            again.set()
        return asked[-1]

    seen: list[Any] = []
    async with Client(door.address, token=token) as client:

        async def watching() -> None:
            async for each in client.watch(saga_id):
                seen.append(each.seq)
                first.set()

        watch = asyncio.create_task(watching())
        await first.wait()
        await revoke_key(Actor("root"), shop.server, keys[0])
        await again.wait()
        await shop.client.post(f"/v1/sagas/{saga_id}/terminate", json={"reason": "enough"})
        await watch
    assert seen == sorted(set(seen))
    async with Client(door.address, token=lambda: keys[0]) as client:
        with pytest.raises(UnauthenticatedError):
            await anext(client.watch(saga_id))
