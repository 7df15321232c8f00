from goconductor.buses.kafka.offsets import Offsets


def partition(*offsets: int) -> Offsets:
    made = Offsets("orders", 0)
    for offset in offsets:
        made.came(offset)
    return made


def test_nothing_is_stored_before_something_is_done_with() -> None:
    assert partition(7, 8).storable() is None


def test_what_is_stored_is_the_offset_before_the_first_open_message() -> None:
    orders = partition(7, 8, 9)
    orders.done(8)
    assert orders.storable() is None
    assert orders.held_up == 1
    orders.done(7)
    assert orders.storable() == 9
    assert orders.held_up == 0
    assert orders.first_open() == 9


def test_it_is_told_once() -> None:
    orders = partition(7)
    orders.done(7)
    assert orders.storable() == 8
    assert orders.storable() is None
    assert orders.advance() == 8


def test_offsets_may_have_gaps() -> None:
    orders = partition(7, 20)
    orders.done(7)
    assert orders.storable() == 8
    orders.done(20)
    assert orders.storable() == 21
    assert orders.first_open() is None
