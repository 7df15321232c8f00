"""What every bus on Amazon's services must do about rights, against a server that checks them: with the policy of the docs."""

import asyncio
import json
import logging
import re
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from aiobotocore.session import AioSession
from botocore.credentials import DeferredRefreshableCredentials

from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import Bus
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS
from tests.contracts.bus_on_a_server import PATIENCE_SECONDS, STARTER, Counting, OpenAt, in_thread, messages, send_surely, until
from tests.servers.moto import MotoServer

DOCS = Path(__file__).parents[2] / "docs" / "buses"
BATCHES = {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:SendMessage"}


def policy_of_the_docs(service: str) -> dict[str, Any]:
    """Its actions, that is: the server takes every request as one about ``*``, and knows nothing of one right for two actions."""
    found = re.search(r"```json\n(.*?)```", (DOCS / f"{service}.md").read_text(), re.DOTALL)
    assert found
    policy: dict[str, Any] = json.loads(found[1])
    for statement in policy["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        statement.update(Resource="*", Action=[*actions, *(f"{action}Batch" for action in actions if action in BATCHES)])
    return policy


class Refreshing:
    """A boto3 session whose credentials are always about to end, so that boto3 refreshes them whenever it is asked for them."""

    def __init__(self, moto: MotoServer, user: str) -> None:
        self._moto = moto
        self.user = user
        self.given: list[str] = []
        self.threads: set[int] = set()
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def session(self) -> Any:
        session = botocore.session.Session()
        session._credentials = DeferredRefreshableCredentials(self._refresh, "test")
        return boto3.Session(botocore_session=session)

    def _refresh(self) -> dict[str, Any]:
        self.threads.add(threading.get_ident())
        if not self.may_answer.is_set():
            self.asked.set()
            assert self.may_answer.wait(PATIENCE_SECONDS)
        user = self.user
        access_key, secret_key = self._moto._keys[user]
        self.given.append(user)
        ends = datetime.now(UTC) + timedelta(minutes=12)
        return {"access_key": access_key, "secret_key": secret_key, "token": None, "expiry_time": ends.isoformat()}


class AmazonRights(ABC):
    service: str

    @property
    @abstractmethod
    def kind(self) -> type[Any]:
        """The leaf."""

    @pytest.fixture
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options of the leaf; names begin with ``goconductor``, as in the docs' policy."""

    @pytest.fixture(scope="class")
    @classmethod
    def moto(cls) -> Iterator[MotoServer]:
        with MotoServer(policy_of_the_docs(cls.service)) as server:
            yield server

    @pytest.fixture
    async def open_at(self, options: dict[str, Any]) -> AsyncIterator[OpenAt]:
        opened: list[Bus] = []

        async def open_one(url: str, **others: Any) -> Bus:
            bus: Bus = self.kind(url, **{**options, **others})
            await bus.open()
            opened.append(bus)
            return bus

        yield open_one
        await asyncio.gather(*(bus.close() for bus in opened))

    async def test_wrong_keys_are_told_at_once_and_not_shown(
        self, moto: MotoServer, options: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        bus = self.kind(moto.url_of("nobody", "hunter2"), **{**options, "open_timeout_seconds": 60.0})
        with pytest.raises(ConfigurationError) as raised:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await bus.open()
        assert "hunter2" not in f"{raised.value}{raised.value.__cause__}{caplog.text}"

    async def test_who_is_shut_out_later_is_told_and_goes_on_when_let_in_again(
        self, moto: MotoServer, open_at: OpenAt, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, logger="goconductor")
        user = f"user{secrets.token_hex(4)}"
        await in_thread(moto.add_user, user)
        bus, receiver = await open_at(moto.url_of(user, ""), send_timeout_seconds=2.0), Counting()
        await bus.subscribe(["orders"], "group", receiver, prefetch=10)
        await send_surely(bus, messages("orders", ["before"]))
        await receiver.has(1)
        await in_thread(moto.remove_user, user)
        await until(lambda: "refuses us" in caplog.text)
        with pytest.raises(BusUnavailableError, match="refuses"):
            await bus.send(messages("orders", ["shut out"]))
        await in_thread(moto.add_user, user)
        await send_surely(bus, messages("orders", ["after"]))
        await until(lambda: b"after" in receiver.counts)

    async def test_without_credentials_it_says_what_to_set(
        self, moto: MotoServer, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        bus = self.kind(moto.endpoint_url, **{**options, "open_timeout_seconds": 60.0})
        with pytest.raises(ConfigurationError, match="profile or role_arn"):
            await bus.open()
        with pytest.raises(ConfigurationError, match="nobodys-profile"):
            await self.kind(moto.endpoint_url, **{**options, "profile": "nobodys-profile"}).open()

    async def test_keys_and_region_come_from_the_profile_that_was_named(
        self, moto: MotoServer, open_at: OpenAt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        await in_thread(moto.add_user, "profiled")
        access_key, secret_key = moto._keys["profiled"]
        credentials = tmp_path / "credentials"
        credentials.write_text(
            f"[saga]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\nregion = eu-west-1\n"
        )
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
        bus, receiver = await open_at(f"{self.service}://", endpoint_url=moto.endpoint_url, profile="saga"), Counting()
        await bus.subscribe(["orders"], "group", receiver, prefetch=10)
        await send_surely(bus, messages("orders", ["one"]))
        await receiver.has(1)

    async def test_a_boto3_session_gives_keys_and_region(
        self, moto: MotoServer, open_at: OpenAt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        await in_thread(moto.add_user, "of a session")
        access_key, secret_key = moto._keys["of a session"]
        credentials = tmp_path / "credentials"
        credentials.write_text(
            f"[saga]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\nregion = eu-west-1\n"
        )
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
        session = boto3.Session(profile_name="saga")
        bus, receiver = await open_at(f"{self.service}://", endpoint_url=moto.endpoint_url, session=session), Counting()
        await bus.subscribe(["orders"], "group", receiver, prefetch=10)
        await send_surely(bus, messages("orders", ["one"]))
        await receiver.has(1)

    async def test_a_role_is_assumed_by_the_credentials_of_a_boto3_session(
        self, moto: MotoServer, open_at: OpenAt, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arn = await asyncio.get_running_loop().run_in_executor(STARTER, moto.add_role, "sagas", "who may assume it")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.endpoint_url)
        session = boto3.Session(*moto._keys["who may assume it"], region_name="eu-west-1")
        with pytest.raises(ConfigurationError, match="refuses us"):
            await open_at(moto.endpoint_url, session=session)
        bus = await open_at(moto.endpoint_url, session=session, role_arn=arn)
        await send_surely(bus, messages("orders", ["one"]))

    async def test_keys_that_a_boto3_session_refreshes_are_used_by_the_connection_that_is_open(
        self, moto: MotoServer, open_at: OpenAt, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, logger="goconductor")
        refreshing = Refreshing(moto, await self.user(moto))
        old = refreshing.user
        bus, receiver = await open_at(moto.endpoint_url, region="eu-west-1", session=refreshing.session()), Counting()
        await bus.subscribe(["orders"], "group", receiver, prefetch=10)
        await send_surely(bus, messages("orders", ["before"]))
        await receiver.has(1)
        refreshing.user = await self.user(moto)
        await until(lambda: refreshing.given[-1] != old)
        assert not caplog.text
        await in_thread(moto.remove_user, old)
        await send_surely(bus, messages("orders", ["after"]))
        await until(lambda: b"after" in receiver.counts)
        assert threading.get_ident() not in refreshing.threads

    async def test_a_boto3_session_that_takes_long_to_refresh_holds_up_nobody(self, moto: MotoServer, open_at: OpenAt) -> None:
        refreshing = Refreshing(moto, await self.user(moto))
        bus, receiver = await open_at(moto.endpoint_url, region="eu-west-1", session=refreshing.session()), Counting()
        await bus.subscribe(["orders"], "group", receiver, prefetch=10)
        refreshing.may_answer.clear()
        try:
            await until(refreshing.asked.is_set)
            await send_surely(bus, messages("orders", ["meanwhile"]))
            await receiver.has(1)
        finally:
            refreshing.may_answer.set()

    async def test_a_boto3_session_without_credentials_is_told_at_once(
        self, moto: MotoServer, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        empty = botocore.session.Session()
        monkeypatch.setattr(empty, "get_credentials", lambda: None)
        failing = Refreshing(moto, "nobody").session()
        for session, says in ((boto3.Session(botocore_session=empty), "give session credentials"), (failing, "KeyError")):
            bus = self.kind(moto.endpoint_url, session=session, **{**options, "open_timeout_seconds": 5.0})
            with pytest.raises((ConfigurationError, BusUnavailableError), match=says):
                await bus.open()

    def test_what_is_no_boto3_session_is_refused(self, moto: MotoServer, options: dict[str, Any]) -> None:
        for session in ("saga", botocore.session.Session(), AioSession()):
            with pytest.raises(ConfigurationError, match=rf"must be a boto3\.Session, not {type(session).__name__}"):
                self.kind(moto.endpoint_url, session=session, **options)
        with pytest.raises(ConfigurationError, match="keys beside it"):
            self.kind(moto.url_of("nobody", "hunter2"), session=boto3.Session(), **options)

    @staticmethod
    async def user(moto: MotoServer) -> str:
        name = f"user{secrets.token_hex(4)}"
        await in_thread(moto.add_user, name)
        return name

    @pytest.mark.parametrize(
        "url", ["eu-west-1", "postgresql://user:hunter2@localhost/db", "http://:hunter2@", "{}://x:hunter2@h:x"]
    )
    def test_a_url_that_cannot_be_read_is_told_without_its_secret(self, url: str, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=f"{self.service}://region") as raised:
            self.kind(url.format(self.service), **options)
        assert "hunter2" not in str(raised.value)
