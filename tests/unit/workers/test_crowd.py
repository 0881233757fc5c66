import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from workers.crowd import Crowd

WAIT_S = 5.0


def inside(place: Callable[[], AbstractContextManager[None]]) -> tuple[threading.Event, threading.Event]:
    """Goes in from another thread; (it is in, let it out)."""
    is_in, leave = threading.Event(), threading.Event()

    def go() -> None:
        with place():
            is_in.set()
            leave.wait(WAIT_S)

    threading.Thread(target=go, daemon=True).start()
    return is_in, leave


def test_many_are_together() -> None:
    crowd = Crowd()
    first, second = inside(crowd.together), inside(crowd.together)
    assert first[0].wait(WAIT_S) and second[0].wait(WAIT_S)


def test_one_alone_waits_for_all_and_keeps_all_waiting() -> None:
    crowd = Crowd()
    first = inside(crowd.together)
    assert first[0].wait(WAIT_S)
    alone = inside(crowd.alone)
    assert not alone[0].wait(0.1)
    # who comes later waits for the one that waits
    late = inside(crowd.together)
    assert not late[0].wait(0.1)
    first[1].set()
    assert alone[0].wait(WAIT_S)
    assert not late[0].wait(0.1)
    alone[1].set()
    assert late[0].wait(WAIT_S)


def test_two_alone_go_one_after_the_other() -> None:
    crowd = Crowd()
    first = inside(crowd.alone)
    assert first[0].wait(WAIT_S)
    second = inside(crowd.alone)
    assert not second[0].wait(0.1)
    first[1].set()
    assert second[0].wait(WAIT_S)


def test_an_exception_lets_the_next_one_in() -> None:
    crowd = Crowd()
    for place in (crowd.together, crowd.alone):
        try:
            with place():
                raise ValueError
        except ValueError:
            pass
    assert inside(crowd.alone)[0].wait(WAIT_S)
