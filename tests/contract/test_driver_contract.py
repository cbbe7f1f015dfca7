"""Every registered driver is held to the contract; nothing here is copied per driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import entry_points

import pytest
from contract_benches import CoilBench, FolderBench, OpenCvStreamBench, PlcBench, SnapshotBench, StreamBench, TableBench

from drivers.conformance import shape, wire
from edge.registry import DRIVERS, load, names

BENCHES = (PlcBench, CoilBench, SnapshotBench, StreamBench, OpenCvStreamBench, FolderBench, TableBench)
SAMPLES = {
    "modbus": {"host": "127.0.0.1"},
    "http": {"url": "http://127.0.0.1:9/x"},
    "opencv": {"source": "none.png"},
    "csv": {"source": "none.csv"},
}
OURS = {point.name for point in entry_points(group=DRIVERS) if point.dist and point.dist.name == "jidoka-edge"}


@pytest.fixture(params=BENCHES, ids=lambda kind: kind.__name__)
def bench(request, tmp_path) -> Iterator[wire.Bench]:
    with ExitStack() as stack:
        yield stack.enter_context(
            request.param(tmp_path) if request.param in {FolderBench, TableBench} else request.param()
        )


def having(bench, fault: str) -> None:
    if fault not in bench.faults:
        pytest.skip(f"a {bench.driver} of this kind cannot {fault}")


def test_every_driver_of_ours_has_a_bench_and_a_sample() -> None:
    assert {kind.driver for kind in BENCHES} >= OURS
    assert set(SAMPLES) >= OURS


@pytest.mark.parametrize("name", names(DRIVERS))
@pytest.mark.parametrize(
    "check", [shape.check_fills_a_port, shape.check_options_are_frozen_and_strict, shape.check_numbers_name_their_units]
)
def test_shape(name, check) -> None:
    check(load(DRIVERS, name))


@pytest.mark.parametrize("name", sorted(OURS))
def test_constructing_opens_nothing(name) -> None:
    kind = load(DRIVERS, name)
    shape.check_constructing_opens_nothing(kind, kind.Options(**SAMPLES[name]))


def test_opens_and_closes_twice(bench) -> None:
    wire.check_opens_and_closes_twice(bench)


def test_values_move_on(bench) -> None:
    wire.check_values_move_on(bench)


def test_time_out_is_honoured(bench) -> None:
    having(bench, "freeze")
    wire.check_time_out_is_honoured(bench)


@pytest.mark.parametrize("fault", ["freeze", "vanish"])
def test_comes_back(bench, fault) -> None:
    having(bench, fault)
    wire.check_comes_back(bench, getattr(bench, fault))


def test_nonsense_is_an_error(bench) -> None:
    having(bench, "babble")
    wire.check_nonsense_is_an_error(bench)


def test_safe_is_safe_anywhere(bench) -> None:
    if not hasattr(load(DRIVERS, bench.driver), "safe"):
        pytest.skip(f"{bench.driver} moves nothing")
    wire.check_safe_is_safe_anywhere(bench)
