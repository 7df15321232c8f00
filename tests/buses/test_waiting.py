import asyncio

import pytest

from goconductor.buses.shared.waiting import Waiting


async def test_each_is_due_at_its_time_and_waits_no_more_then(monkeypatch: pytest.MonkeyPatch) -> None:
    due, all_due, loop = list[str](), asyncio.Event(), asyncio.get_running_loop()
    began = loop.time()
    monkeypatch.setattr(loop, "time", lambda: began)  # no time passes between the two

    def ended(item: str) -> None:
        due.append(item)
        assert waiting.remove(item) is None
        if not len(waiting):
            all_due.set()

    waiting = Waiting(ended)
    waiting.add("later", 2.0)
    waiting.add("sooner", 1.0)
    monkeypatch.setattr(loop, "time", lambda: began + 3.0)
    await all_due.wait()
    monkeypatch.undo()
    assert due == ["sooner", "later"]


async def test_what_is_removed_says_how_long_it_had_to_wait_and_never_comes() -> None:
    waiting = Waiting[str](lambda _: None)
    waiting.add("one", 3_600.0)
    waiting.add("two", 0.0)
    left = waiting.remove("one")
    assert left is not None
    assert 3_500 < left <= 3_600
    assert list(waiting) == ["two"]
    waiting.clear()
    assert len(waiting) == 0
