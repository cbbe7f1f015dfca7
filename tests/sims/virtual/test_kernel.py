"""The kernel, its clocks and its trace, alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.events import Free, Log
from sims.virtual.clock import TELL_NS, ClockWatch, NodeClock
from sims.virtual.delays import DelaySpec, with_profile
from sims.virtual.kernel import NS, Kernel
from sims.virtual.trace import Trace


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[int, object]] = []

    def take(self, event: object, t_ns: int) -> None:
        self.heard.append((t_ns, event))


@given(st.lists(st.integers(0, 50), max_size=30))
def test_events_come_by_time_then_in_the_order_of_posting(times: list[int]) -> None:
    kernel, listener = Kernel(1), Listener()
    for number, t_ns in enumerate(times):
        kernel.post(t_ns, listener, number)
    kernel.run(100)
    assert listener.heard == sorted((t_ns, number) for number, t_ns in enumerate(times))
    assert (kernel.now_ns, kernel.events, kernel.next_ns()) == (100, len(times), None)


def test_what_lies_in_the_past_comes_now() -> None:
    kernel, listener = Kernel(1), Listener()
    kernel.run(10)
    kernel.post(3, listener, "late")
    kernel.run(10)
    assert listener.heard == [(10, "late")]


def test_every_name_has_a_stream_of_its_own() -> None:
    one, two = Kernel(1), Kernel(1)
    one.rng("a").random()
    assert one.rng("b").random() == two.rng("b").random()
    assert Kernel(2).rng("b").random() != two.rng("b").random()
    assert abs(Kernel(1).rng("a").random() - 0.5) <= 0.5


@given(st.integers(0, 10**15), st.integers(-500_000, 500_000), st.integers(0, 10**15))
def test_a_clock_is_read_back_and_forth(start_ns: int, drift_ppb: int, t_ns: int) -> None:
    clock = NodeClock(start_ns, drift_ppb)
    mono_ns = clock.mono(t_ns)
    again_ns = clock.true(mono_ns)
    assert clock.mono(again_ns) >= mono_ns
    assert again_ns <= t_ns
    assert clock.mono(again_ns - 1) < mono_ns


def test_drift_is_told_when_it_matters_and_a_step_at_once() -> None:
    clock = NodeClock(0, 50_000)
    watch = ClockWatch(clock)
    first, wait_ns = watch.look(0)
    assert first is not None
    assert wait_ns is not None
    assert watch.look(wait_ns // 2)[0] is None
    told, _ = watch.look(wait_ns)
    assert told is not None
    assert TELL_NS <= first.utc_offset_ns - told.utc_offset_ns < 2 * TELL_NS
    clock.step(3600 * NS)
    assert watch.look(wait_ns)[0] is not None
    before_ns = clock.mono(wait_ns)
    clock.drift(wait_ns, -100_000)
    assert clock.mono(wait_ns) == before_ns
    clock.reboot(2 * wait_ns)
    assert clock.mono(2 * wait_ns) == 0


def test_the_hash_is_of_everything_and_its_order() -> None:
    def digest(*entries: tuple[int, str, bytes]) -> str:
        trace = Trace()
        for entry in entries:
            trace.note(*entry)
        return trace.digest()

    a, b = (1, "x", b"one"), (1, "y", b"two")
    assert digest(a, b) == digest(a, b)
    assert len({digest(a), digest(b), digest(a, b), digest(b, a), digest((1, "x", b"oneone")), digest(a, a)}) == 6
    trace = Trace(keep=2)
    for number in range(5):
        trace.effect(number, "x", Free("results", number))
    trace.effect(9, "x", Log("info", "A_CODE", "text"))
    assert [entry.t_ns for entry in trace.last()] == [4, 9]


def test_stated_delays_have_the_stated_quantiles() -> None:
    rng = Kernel(1).rng("delays")

    def quantile(spec: DelaySpec, share: float) -> float:
        return sorted(spec.draw_infer_ms(rng) for _ in range(4000))[int(4000 * share)]

    measured = with_profile(DelaySpec(), 5.0, 9.0)
    assert abs(quantile(measured, 0.5) - 5.0) < 0.2
    assert abs(quantile(measured, 0.99) - 9.0) < 0.8
    stated = DelaySpec(infer_quantiles_ms=(1.0, 2.0, 10.0))
    assert abs(quantile(stated, 0.5) - 2.0) < 0.2
    assert quantile(stated, 0.75) > 5.0
    assert DelaySpec(infer_quantiles_ms=(3.0,)).draw_infer_ms(rng) == 3.0
