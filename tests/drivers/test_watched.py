"""The thread that may be left behind, with readers that hang on purpose."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from drivers._watched import MAX_ABANDONED, WatchedReader
from edge.errors import DeviceError


class Hanging:
    """Gives picture n for the n-th read; read number ``hangs_at`` waits until the test lets go."""

    def __init__(self, hangs_at: int | None, let_go: threading.Event) -> None:
        self._n, self._hangs_at, self._let_go = 0, hangs_at, let_go
        self.released = threading.Event()

    def next(self):
        self._n += 1
        if self._n == self._hangs_at:
            self._let_go.wait(30)
        return self._n, np.full((1, 1, 3), self._n, np.uint8)

    def release(self) -> None:
        self.released.set()


class Made:
    def __init__(self, hangs_at: int | None = None) -> None:
        self.let_go = threading.Event()
        self.readers: list[Hanging] = []
        self._hangs_at = hangs_at

    def __call__(self) -> Hanging:
        self.readers.append(Hanging(self._hangs_at, self.let_go))
        return self.readers[-1]


def code_of(call) -> str:
    with pytest.raises(DeviceError) as failed:
        call()
    return failed.value.code


@pytest.fixture(autouse=True)
def no_thread_left():
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread


def test_a_short_time_out_does_not_lose_the_frame():
    made = Made(hangs_at=2)
    watched = WatchedReader("cam", made, hang_s=30)
    watched.open(1)
    assert watched.next(1)[0] == 1
    assert code_of(lambda: watched.next(0.02)) == "SOURCE_TIMEOUT"
    made.let_go.set()
    assert [watched.next(1)[0], watched.next(1)[0]] == [2, 3]
    watched.close()
    assert made.readers[0].released.is_set()


def test_a_hung_read_is_left_behind_and_releases_when_it_comes_back():
    made = Made(hangs_at=1)
    watched = WatchedReader("cam", made, hang_s=0.02)
    watched.open(1)
    assert code_of(lambda: watched.next(0.05)) == "SOURCE_TIMEOUT"
    assert not watched.is_open
    assert code_of(lambda: watched.next(0.05)) == "SOURCE_NOT_OPEN"
    watched.open(1)
    assert len(made.readers) == 2
    watched.close()
    made.let_go.set()
    assert made.readers[0].released.wait(5)


def test_hung_threads_are_not_piled_up_for_ever():
    made = Made(hangs_at=1)
    watched = WatchedReader("cam", made, hang_s=0.0)
    for _ in range(MAX_ABANDONED):
        watched.open(1)
        assert code_of(lambda: watched.next(0.2)) == "SOURCE_TIMEOUT"  # long enough for its thread to begin to hang
    assert code_of(lambda: watched.open(1)) == "SOURCE_HUNG"
    made.let_go.set()
    assert all(reader.released.wait(5) for reader in made.readers)


def test_opening_that_hangs_is_a_time_out():
    let_go = threading.Event()

    def make() -> Hanging:
        let_go.wait(30)
        return Hanging(None, let_go)

    watched = WatchedReader("cam", make, hang_s=1)
    assert code_of(lambda: watched.open(0.02)) == "SOURCE_TIMEOUT"
    let_go.set()
    watched.close()


def test_a_foreign_exception_is_an_answer_too():
    def make() -> Hanging:
        raise RuntimeError("boom")

    watched = WatchedReader("cam", make, hang_s=1)
    with pytest.raises(DeviceError, match=r"SOURCE_LOST.*RuntimeError: boom") as lost:
        watched.open(1)
    assert isinstance(lost.value.__cause__, RuntimeError)
