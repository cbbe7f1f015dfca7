from __future__ import annotations

import time
from typing import Self

import numpy as np
import pytest
from rig import Collector, Model, picture

from edge.domain import FrameRef
from edge.events import InferFailed, Inferred, SourceEnd
from edge.ports import Frame
from edge.shell.engine import Engine
from edge.shell.framestore import FrameStore
from edge.shell.infer import BLOCK_LIMIT, EVERY_LIMIT, Infer, Route

FAR_NS = 3_600_000_000_000


class Rig:
    def __init__(self, *models: Model, workers: int = 1, routes: dict[str, Route] | None = None, **more) -> None:
        self.seen = Collector()
        self.store = FrameStore()
        engines = [Engine(f"m{n}", model, workers) for n, model in enumerate(models)]
        self.infer = Infer(
            engines,
            routes or {"": Route("m0")},
            store=self.store,
            post=self.seen.post,
            on_crash=self.seen.crash,
            **more,
        )

    def __enter__(self) -> Self:
        self.infer.start()
        assert self.infer.wait_warm(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.infer.stop()
        assert self.infer.join()
        assert not self.seen.crashes

    def send(self, n: int, source: str = "cam", **how) -> bool:
        frame = Frame(FrameRef(source, n, time.monotonic_ns()), picture(n))
        return self.infer.submit(frame, asked_ns=frame.ref.captured_ns, **how)

    def part(self, n: int, **how) -> bool:
        return self.send(n, part_id=n, deadline_ns=time.monotonic_ns() + FAR_NS, **how)


def test_a_frame_becomes_findings_and_waits_in_the_store():
    with Rig(Model(), mm_per_px={"cam": 0.5}) as rig:
        assert rig.part(51, recipe="")
        (event,) = rig.seen.wait_n(Inferred, 1)
        assert (event.part_id, event.model, event.recipe, event.ref.frame_no) == (51, "m0", "", 51)
        (finding,) = event.inference.findings
        assert (finding.label, finding.area_mm2) == ("spot", 1.0)
        assert finding.score == pytest.approx(51 / 255)
        assert event.capture_ms >= 0 and event.queue_ms >= 0
        shot = rig.store.take(event.ref)
        assert shot.part_id == 51 and shot.prediction.names == ["spot"]
        assert rig.infer.answered == 1


def test_two_workers_answer_in_the_order_of_the_frames():
    model = Model(delays_s=[0.012, 0.0, 0.004, 0.0, 0.0])
    with Rig(model, workers=2) as rig:
        for n in range(60):
            assert rig.send(n, "ab"[n % 2], deliver="every", block=True)
        rig.infer.end("a")
        events = rig.seen.wait_n((Inferred, SourceEnd), 61)
        assert rig.infer.waiting("a") == 0
    for source in "ab":
        numbers = [e.ref.frame_no for e in events if isinstance(e, Inferred) and e.ref.source == source]
        assert numbers == [n for n in range(60) if "ab"[n % 2] == source]
    of_a = [e for e in events if (e.source if isinstance(e, SourceEnd) else e.ref.source) == "a"]
    assert of_a[-1] == SourceEnd("a")
    assert model.threads == {"infer-m0-0", "infer-m0-1"}


def test_newest_replaces_in_silence_and_memory_does_not_grow():
    model = Model()
    with Rig(model) as rig:
        model.gate.clear()
        for n in range(100):
            assert rig.send(n)
        model.gate.set()
        rig.seen.until(lambda events: any(e.ref.frame_no == 99 for e in events))
        events = rig.seen.of(Inferred)
        # Whatever the worker had taken before, at most two, and the very newest.
        assert len(events) + rig.infer.replaced == 100
        assert len(events) <= 3
        assert rig.seen.events == events
        assert len(rig.store) == len(events)


def test_every_drops_a_live_frame_loudly_when_eight_wait():
    model = Model()
    with Rig(model) as rig:
        model.gate.clear()
        taken = [rig.part(n) for n in range(1, 21)]
        dropped = rig.seen.of(InferFailed)
        assert 0 < len(dropped) <= 20 - EVERY_LIMIT
        model.gate.set()
        events = rig.seen.wait_n((Inferred, InferFailed), 20)
    assert {e.part_id for e in events if isinstance(e, Inferred)} == {n for n in range(1, 21) if taken[n - 1]}
    assert [e.code for e in dropped] == ["FRAME_DROPPED"] * len(dropped)
    assert sorted(e.part_id for e in events) == list(range(1, 21))


def test_a_full_line_makes_a_blocking_source_wait():
    model = Model(delays_s=[0.001])
    with Rig(model) as rig:
        for n in range(5 * BLOCK_LIMIT):
            assert rig.send(n, deliver="every", block=True)
            assert rig.infer.waiting("cam") <= BLOCK_LIMIT + 2
        rig.seen.wait_n(Inferred, 5 * BLOCK_LIMIT)


def test_an_asked_frame_is_never_replaced_and_goes_first():
    model = Model()
    with Rig(model) as rig:
        model.gate.clear()
        rig.send(1, "other")
        rig.part(7)
        for n in range(2, 6):
            rig.send(n, "other")
        model.gate.set()
        rig.seen.until(lambda events: any(e.ref.frame_no == 5 for e in events))
        parts = [e.part_id for e in rig.seen.of(Inferred)]
        assert parts.count(7) == 1 and parts[-1] is None


def test_a_model_that_fails_costs_one_verdict_and_is_told():
    model = Model()
    model.bad = {2}
    with Rig(model) as rig:
        for n in (1, 2, 3):
            rig.part(n)
        events = rig.seen.wait_n((Inferred, InferFailed), 3)
        assert [type(e) for e in events] == [Inferred, InferFailed, Inferred]
        assert (events[1].code, events[1].part_id) == ("MODEL_FAILED", 2)
        assert "Conv_7" in events[1].what
        assert rig.infer.failed == 1


def test_a_frame_whose_deadline_passed_is_not_inferred():
    model = Model()
    with Rig(model) as rig:
        rig.send(1, part_id=1, deadline_ns=time.monotonic_ns() - 1)
        (event,) = rig.seen.wait_n(InferFailed, 1)
        assert event.code == "FRAME_LATE"
        assert model.ran == 0


def test_recipes_choose_model_and_region():
    big, small = Model(), Model()
    routes = {"": Route("m0"), "lid": Route("m1", (8, 4, 24, 20)), "off": Route("m1", (100, 100, 120, 120))}
    with Rig(big, small, routes=routes) as rig:
        rig.send(1)
        rig.seen.wait_n(Inferred, 1)
        rig.infer.use_recipe("lid")
        rig.send(2)
        rig.part(3, recipe="")
        events = rig.seen.wait_n(Inferred, 3)
        assert [(e.model, e.recipe) for e in events] == [("m0", ""), ("m1", "lid"), ("m0", "")]
        assert events[0].inference.findings[0].xyxy == (1, 2, 31, 30)
        assert events[1].inference.findings[0].xyxy == (8 + 1, 4 + 2, 8 + 15, 4 + 14)
        shot = rig.store.take(events[1].ref)
        assert (shot.prediction.frame_width_px, shot.prediction.frame_height_px) == (32, 32)
        rig.part(4, recipe="off")
        rig.part(5, recipe="nobody's")
        codes = [e.code for e in rig.seen.wait_n(InferFailed, 2)]
        assert codes == ["REGION_OUTSIDE", "RECIPE_UNKNOWN"]


def test_idle_workers_warm_up_and_feed_the_watchdog():
    model = Model()
    with Rig(model, warm_every_s=0.01) as rig:
        first_ns = rig.infer.last_answer_ns
        assert first_ns > 0
        end = time.monotonic() + 5
        while rig.infer.last_answer_ns == first_ns and time.monotonic() < end:
            rig.seen.post("tick")
        assert rig.infer.last_answer_ns > first_ns
        assert model.warmed >= 2


def test_a_model_that_does_not_warm_up_is_never_alive():
    class Broken(Model):
        def warm_up(self) -> object:
            raise RuntimeError("no kernel for this op")

    seen = Collector()
    infer = Infer([Engine("m", Broken())], {"": Route("m")}, store=FrameStore(), post=seen.post, on_crash=seen.crash)
    infer.start()
    assert not infer.wait_warm(60.0), "it is not waited for what has failed"
    assert infer.last_answer_ns == 0
    assert "no kernel" in infer.last_error
    infer.stop()
    assert infer.join()
    assert not seen.crashes


def test_waiting_for_a_model_that_hangs_can_be_given_up():
    class Hanging(Model):
        def warm_up(self) -> object:
            assert self.gate.wait(10)
            return super().warm_up()

    model, seen = Hanging(), Collector()
    model.gate.clear()
    infer = Infer([Engine("m", model)], {"": Route("m")}, store=FrameStore(), post=seen.post, on_crash=seen.crash)
    infer.start()
    assert not infer.wait_warm(0.01)
    assert not infer.wait_warm(60.0, enough=lambda: True)
    model.gate.set()
    assert infer.wait_warm(10.0)
    infer.stop()
    assert infer.join()


def test_pictures_a_model_cannot_take_fail_in_the_capture_thread():
    class Picky(Model):
        def preprocess(self, image: np.ndarray) -> object:
            raise MemoryError(f"no room for {image.nbytes} bytes")

    with Rig(Picky()) as rig:
        assert not rig.part(1)
        (event,) = rig.seen.wait_n(InferFailed, 1)
        assert event.code == "MODEL_FAILED" and "MemoryError" in event.what
