"""The contract checks find what they are for: each is given a driver with one fault."""

# ruff: noqa: ARG002 - the shapes of the ports
from __future__ import annotations

import time

import numpy as np
import pytest
from msgspec import Struct

from drivers.conformance import shape, wire
from edge.domain import FrameRef
from edge.errors import DeviceError
from edge.ports import Frame


class Good:
    """A camera that honours the contract; its device is a flag of the bench."""

    class Options(Struct, frozen=True, forbid_unknown_fields=True):
        timeout_s: float = 1.0
        port: int = 1
        source: int | str = 0

    frames = 0

    def __init__(self, name: str, options: object = None, bench: Bench | None = None) -> None:
        self._name, self._bench, self._is_open = name, bench, False

    def open(self) -> None:
        self._look()
        self._is_open = True

    def read(self, timeout_s: float) -> Frame:
        if not self._is_open:
            raise DeviceError("SOURCE_NOT_OPEN", "not open")
        self._look()
        Good.frames += 1
        return Frame(FrameRef(self._name, Good.frames, time.monotonic_ns()), np.zeros((1, 1, 3), np.uint8))

    def safe(self) -> None:
        pass

    def close(self) -> None:
        self._is_open = False

    def _look(self) -> None:
        if self._bench and self._bench.broken:
            raise DeviceError("SOURCE_LOST", "it is broken")


class Bench:
    def __init__(self, kind: type[Good]) -> None:
        self._kind, self.broken = kind, False

    def make(self, timeout_s: float) -> Good:
        return self._kind("cam", None, self)

    def heal(self) -> None:
        self.broken = False

    def freeze(self) -> None:
        self.broken = True

    vanish = freeze

    def babble(self, seed: int) -> None:
        self.broken = True


class LooseOptions(Good):
    class Options(Struct):
        port: int = 1


class NoUnit(Good):
    class Options(Struct, frozen=True, forbid_unknown_fields=True):
        timeout: float = 1.0


class NoUnitInt(Good):
    class Options(Struct, frozen=True, forbid_unknown_fields=True):
        pulse: int | None = None


class NoPort:
    Options = Good.Options


class ReadsUnopened(Good):
    def read(self, timeout_s: float) -> Frame:
        self._is_open = True
        return super().read(timeout_s)


class OpensOnce(Good):
    def open(self) -> None:
        if self._is_open:
            raise DeviceError("SOURCE_TAKEN", "open already")
        super().open()


class CountsAnew(Good):
    def open(self) -> None:
        super().open()
        Good.frames = 0


class Late(Good):
    def _look(self) -> None:
        if self._bench.broken:
            end = time.monotonic() + 0.4
            while time.monotonic() < end:
                pass
        super()._look()


class Foreign(Good):
    def _look(self) -> None:
        if self._bench.broken:
            raise OSError("foreign")


class Dreams(Good):
    def _look(self) -> None:
        pass


class UnsafeSafe(Good):
    def safe(self) -> None:
        self._look()


CHECKS = {
    "opens": wire.check_opens_and_closes_twice,
    "moves": wire.check_values_move_on,
    "time": lambda bench: wire.check_time_out_is_honoured(bench, 0.1),
    "back": lambda bench: wire.check_comes_back(bench, bench.vanish),
    "nonsense": wire.check_nonsense_is_an_error,
    "safe": wire.check_safe_is_safe_anywhere,
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_driver_passes(check) -> None:
    CHECKS[check](Bench(Good))


def test_a_good_class_passes() -> None:
    shape.check_fills_a_port(Good)
    shape.check_options_are_frozen_and_strict(Good)
    shape.check_numbers_name_their_units(Good)
    shape.check_constructing_opens_nothing(Good, None)


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (OpensOnce, "opens"),
        (CountsAnew, "back"),
        (Late, "time"),
        (Dreams, "time"),
        (Foreign, "back"),
        (Foreign, "nonsense"),
        (Dreams, "nonsense"),
        (UnsafeSafe, "safe"),
    ],
)
def test_a_fault_is_found(kind, check) -> None:
    with pytest.raises((AssertionError, OSError, DeviceError)):
        CHECKS[check](Bench(kind))


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (NoPort, shape.check_fills_a_port),
        (LooseOptions, shape.check_options_are_frozen_and_strict),
        (NoUnit, shape.check_numbers_name_their_units),
        (NoUnitInt, shape.check_numbers_name_their_units),
        (ReadsUnopened, lambda kind: shape.check_constructing_opens_nothing(kind, None)),
    ],
)
def test_a_fault_of_a_class_is_found(kind, check) -> None:
    with pytest.raises(AssertionError):
        check(kind)
