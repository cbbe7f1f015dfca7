"""A driver facing a device that misbehaves: frozen, gone and back, talking nonsense. All with real bytes on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from edge.domain import Reading
from edge.errors import DeviceError, ImageError
from edge.ports import Frame

TOLERANCE = 1.2
"""A time-out may take a fifth longer than was set."""

QUICK_S = 0.25
"""Time-out where only the kind of the error matters."""

MANY_READS = 10_000
TRIES = 20
"""How often a device that has come back is opened before it is given up."""


class Bench(Protocol):
    """A driver's device with its faults. The device's address stays the same over ``gone`` and back."""

    def make(self, timeout_s: float) -> Any:
        """A new driver for this device, not opened; ``timeout_s`` is the option of its own, where it has one."""
        ...

    def heal(self) -> None:
        """As it should be."""

    def freeze(self) -> None:
        """Connections stay, new ones are taken, nothing is answered."""

    def vanish(self) -> None:
        """Connections are cut, new ones refused; `heal` brings it back."""

    def babble(self, seed: int) -> None:
        """Random bytes come instead of answers."""


def check_opens_and_closes_twice(bench: Bench) -> None:
    """open, open, read, close, close, and the same again with the same object."""
    driver = bench.make(2.0)
    try:
        for _ in range(2):
            driver.open()
            driver.open()
            driver.read(2.0)
            driver.close()
            driver.close()
    finally:
        driver.close()


def check_values_move_on(bench: Bench) -> None:
    """Frame numbers and times rise; readings are not older than the call."""
    driver = bench.make(2.0)
    try:
        driver.open()
        for _ in range(3):
            driver.close()
            driver.open()
            before_ns = time.monotonic_ns()
            value = driver.read(2.0)
            if isinstance(value, Reading):
                assert value.at_ns >= before_ns, "a reading is older than the call that asked for it"
                continue
            after = driver.read(2.0)
            assert after.ref.frame_no > value.ref.frame_no, "frame numbers do not rise"
            assert after.ref.captured_ns >= value.ref.captured_ns, "capture times fall"
            assert after.ref.captured_ns <= time.monotonic_ns(), "a capture time lies in the future"
    finally:
        driver.close()


def check_time_out_is_honoured(bench: Bench, timeout_s: float = 0.5) -> None:
    """A device that freezes, before opening or after: DeviceError within the time set and a fifth."""
    driver = bench.make(timeout_s)
    try:
        driver.open()
        driver.read(timeout_s)
        bench.freeze()
        _check_in_time(_starved(driver, timeout_s), timeout_s)
        driver.close()
        # opening and reading each have the time-out
        _check_in_time(_fails(lambda: _opened_and_read(driver, timeout_s), "the device was frozen"), 2 * timeout_s)
    finally:
        driver.close()
        bench.heal()


def check_comes_back(bench: Bench, fault: Callable[[], None]) -> None:
    """After a fault: DeviceError, then close and open bring fresh values, with numbers that go on rising."""
    driver = bench.make(QUICK_S)
    try:
        driver.open()
        before = driver.read(1.0)
        fault()
        _starved(driver, QUICK_S)
        driver.close()
        _fails(lambda: _opened_and_read(driver, QUICK_S), "the device was still out of order")
        bench.heal()
        after = _recovered(driver)
        if isinstance(before, Frame):
            assert after.ref.frame_no > before.ref.frame_no, "frame numbers fall over a reconnect"
    finally:
        driver.close()
        bench.heal()


def check_nonsense_is_an_error(bench: Bench, seeds: range = range(3)) -> None:
    """Random bytes give DeviceError (or ImageError from a file), never a value and never another exception."""
    for seed in seeds:
        driver = bench.make(QUICK_S)
        try:
            bench.babble(seed)
            _fails(partial(_opened_and_read, driver, QUICK_S), f"it was given random bytes (seed {seed})")
            driver.close()
            bench.heal()
            _recovered(driver)
        finally:
            driver.close()
            bench.heal()


def check_safe_is_safe_anywhere(bench: Bench, timeout_s: float = 0.5) -> None:
    """`safe` before open, twice, while frozen, while gone, after close: never raises, never takes long."""
    driver = bench.make(timeout_s)

    def safe_twice() -> None:
        for _ in range(2):
            began_ns = time.monotonic_ns()
            driver.safe()
            took_s = (time.monotonic_ns() - began_ns) / 1e9
            # connecting and one request, each within the time-out
            assert took_s <= 2 * timeout_s * TOLERANCE, f"safe() took {took_s:.2f} s with a time-out of {timeout_s} s"

    try:
        safe_twice()
        driver.open()
        safe_twice()
        for fault in (bench.freeze, bench.vanish):
            fault()
            safe_twice()
            bench.heal()
            driver.close()
            driver.open()
        driver.close()
        safe_twice()
    finally:
        driver.close()
        bench.heal()


def _opened_and_read(driver: Any, timeout_s: float) -> Any:
    driver.open()
    return driver.read(timeout_s)


def _starved(driver: Any, timeout_s: float) -> float:
    """Read until it fails, for what was under way when the fault came may still arrive; how long the failure took."""
    for _ in range(MANY_READS):
        began_ns = time.monotonic_ns()
        try:
            driver.read(timeout_s)
        except (DeviceError, ImageError) as error:
            _check_words(error)
            return (time.monotonic_ns() - began_ns) / 1e9
    raise AssertionError("reads went on although the device was out of order")


def _fails(call: Callable[[], object], when: str) -> float:
    """How long the call took to raise DeviceError."""
    began_ns = time.monotonic_ns()
    try:
        value = call()
    except (DeviceError, ImageError) as error:
        _check_words(error)
        return (time.monotonic_ns() - began_ns) / 1e9
    raise AssertionError(f"got {type(value).__name__} although {when}")


def _check_in_time(took_s: float, limit_s: float) -> None:
    assert took_s <= limit_s * TOLERANCE, f"the error came after {took_s:.2f} s; the time-out was {limit_s} s"


def _check_words(error: DeviceError | ImageError) -> None:
    if not error.what:
        raise AssertionError(f"{error.code} does not say what happened") from error


def _recovered(driver: Any) -> Any:
    """The first value after the device came back, which may take a few tries."""
    for left in reversed(range(TRIES)):
        try:
            return _opened_and_read(driver, 1.0)
        except DeviceError:
            driver.close()
            if not left:
                raise
    raise AssertionError("unreachable")
