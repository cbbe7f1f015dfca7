"""The agent's own CPU a frame: everything but decoding and ``session.run``, at most 20 detections.

``steps``   preprocess, postprocess, findings, core with policy, record encoded and appended; one thread, one after
            the other, on a picture just written, as a decoder leaves it; medians, and without threads, locks and disk
``rooms``   the agent's rooms run as in the daemon (capture, inference worker, core, journal with its disk, outbox),
            but the camera hands out decoded pictures and the runtime gives the outputs it gave before. So the CPU of
            the process is all our own, locks, wake-ups and fsync included: once as fast as it goes, once at ``--hz``
            with pauses as long as a model takes, where every step finds cold caches and every commit few records.
            The limit is for the first: everything but decoding and ``session.run`` means everything

Usage: python bench/cost.py [--json] [--hz 30]
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import cv2
import figures
import material
import numpy as np
from figures import Row, median

from edge.core.agent import AgentCore
from edge.core.backoff import Backoff
from edge.core.dialogue import Boot
from edge.core.policy import ThresholdOptions, ThresholdPolicy
from edge.core.settings import RecipeSettings, Settings, SourceSettings
from edge.domain import FrameRef
from edge.events import Append, Committed, Inferred, StopAsked, Tick
from edge.messages import encode_record
from edge.models.loading import load
from edge.models.predictor import Predictor
from edge.ports import Blob, Frame, Image
from edge.shell.capture import CaptureThread
from edge.shell.carrier import Carrier, Shells
from edge.shell.engine import Engine
from edge.shell.evidence import EvidenceThread
from edge.shell.framestore import FrameStore
from edge.shell.infer import Infer, Route
from edge.shell.journal import Journal
from edge.shell.keeper import Keeper
from edge.shell.mailbox import Mailbox
from edge.vision.findings import to_inference

MOST_DETECTIONS = 20
PICTURES = 8
RUN_S = 0.02
FLAT_OUT_HZ = 1e6
STEP_TRIES = 4
SETTLE_FRAMES = 10
LIMITS_MS = {320: 0.6, 640: 1.0}


class Remembered:
    """A runtime that gives the same answer again, after as long as a model takes and without its CPU."""

    def __init__(self, outputs: list[Blob], pause_s: float) -> None:
        self._outputs = outputs
        self._pause_s = pause_s

    def run(self, _inputs: dict[str, Blob]) -> list[Blob]:
        time.sleep(self._pause_s)
        return self._outputs


class Pictures:
    """A camera with pictures that are decoded already."""

    on_demand: ClassVar[bool] = False
    finite = True

    def __init__(self, images: list[Image], hz: float) -> None:
        self._images = images
        self._period_s = 1 / hz
        self._due = time.monotonic()
        self._n = 0

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self, _timeout_s: float) -> Frame:
        self._due += self._period_s
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._n += 1
        image = self._images[self._n % len(self._images)]
        return Frame(FrameRef("camera", self._n, time.monotonic_ns()), image)


class Cell:
    """An agent without decoder and runtime, wired like :class:`edge.shell.agent.Agent`."""

    def __init__(self, folder: Path, predictor: Predictor, images: list[Image], hz: float) -> None:
        self.crashes: list[Exception] = []
        self._mailbox: Mailbox[Any] = Mailbox()
        post, crash = self._mailbox.post, self.crashes.append
        self.journal = Journal(folder, on_committed=lambda kind, upto: post(Committed(kind, upto)))
        store = FrameStore()
        infer = Infer(
            [Engine("m", predictor)], {"": Route("m"), "default": Route("m")}, store=store, post=post, on_crash=crash
        )
        source = Pictures(images, hz)
        capture = CaptureThread(
            "camera", source, infer, post, crash, Backoff(0.1, 1, random.Random(1)), deliver="every", finite=True
        )
        evidence = EvidenceThread(store, lambda _: 0, post, crash, utc_ms=lambda ns: ns // 1_000_000)
        keeper = Keeper(self.journal, None, post, lambda: 0, crash)
        self.shells = Shells({"camera": capture}, infer, {}, store, evidence, self.journal, keeper, None)
        self.core = core_of(self.journal, predictor)
        self._carrier = Carrier(self.shells, lambda *_: None, post, self._leave, self.core.scribe.count)
        self._left = False
        self._thread = threading.Thread(target=self._run, name="core")

    def measure_ms(self, seconds: float) -> float:
        """CPU a frame of the whole process, after it settled."""
        shells, tick = self.shells, threading.Event()
        shells.keeper.start()
        shells.evidence.start()
        shells.infer.start()
        shells.infer.wait_warm(10)
        shells.captures["camera"].start()
        self._thread.start()
        try:
            while shells.infer.answered < SETTLE_FRAMES:
                tick.wait(0.01)
            n, cpu_s = shells.infer.answered, time.process_time()
            tick.wait(seconds)
            cpu_s, n = time.process_time() - cpu_s, shells.infer.answered - n
        finally:
            self._close()
        assert not self.crashes, self.crashes
        return 1e3 * cpu_s / n

    def _close(self) -> None:
        shells = self.shells
        self._mailbox.post(StopAsked("measured"))
        self._thread.join()
        workers = (*shells.captures.values(), shells.infer, shells.evidence)
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()
        shells.keeper.finish()
        self.journal.close()

    def _leave(self, _status: int, _why: str) -> None:
        self._left = True

    def _run(self) -> None:
        for effect in self.core.start(time.monotonic_ns()):
            self._carrier.carry(effect)
        while not self._left:
            event = self._mailbox.get(max(0.0, (self.core.deadline_ns() - time.monotonic_ns()) / 1e9))
            for effect in self.core.handle(event or Tick(), time.monotonic_ns()):
                self._carrier.carry(effect)


def core_of(journal: Journal, predictor: Predictor) -> AgentCore:
    settings = Settings(
        site="site",
        agent="bench",
        recipes={"default": RecipeSettings(predictor.ref)},
        policies={"default": ThresholdOptions()},
        sources={"camera": SourceSettings()},
    )
    boot = Boot(log=journal.log, boot_no=1, conn_no=0, heads=journal.heads(), linked=False)
    return AgentCore(settings, boot, {"default": ThresholdPolicy}, random.Random(1))


def with_runner(real: Predictor, outputs: list[Blob], pause_s: float) -> Predictor:
    runner = Remembered(outputs, pause_s)
    return Predictor(real.manifest, real.ref, runner, input_name="images", output_names=["out"])


def steps_ms(folder: Path, predictor: Predictor, images: list[Image], frames: int = 60) -> dict[str, float]:
    """Median CPU of each step on this thread alone, milliseconds."""
    journal = Journal(folder)
    core, seen = core_of(journal, predictor), {name: [] for name in ("preprocess", "postprocess", "core", "record")}
    core.start(time.monotonic_ns())

    def timed(name: str, step: Callable[[], Any]) -> Any:
        began_ns = time.thread_time_ns()
        result = step()
        seen[name].append((time.thread_time_ns() - began_ns) / 1e6)
        return result

    image = np.empty_like(images[0])
    for n in range(1, frames + 1):
        np.copyto(image, images[n % len(images)])  # as the decoder has just written it
        prepared = timed("preprocess", lambda: predictor.preprocess(image))
        outputs = predictor.run(prepared)
        found = timed("postprocess", lambda o=outputs, p=prepared: to_inference(predictor.postprocess(o, p)))
        now_ns = time.monotonic_ns()
        event = Inferred(FrameRef("camera", n, now_ns), None, found, "m", now_ns)
        effects = timed("core", lambda event=event, now_ns=now_ns: core.handle(event, now_ns))
        records = [effect.record for effect in effects if isinstance(effect, Append)]
        timed("record", lambda records=records: [journal.append("results", encode_record(one)) for one in records])
    journal.close()
    return {name: median(values) for name, values in seen.items()}


def pick(real: Predictor, images: list[Image]) -> tuple[list[Blob], int]:
    """Outputs of the picture with the most detections that are not too many."""
    best: tuple[list[Blob], int] | None = None
    for image in images:
        prepared = real.preprocess(image)
        outputs = real.run(prepared)
        n = len(real.postprocess(outputs, prepared))
        if n <= MOST_DETECTIONS and (best is None or n > best[1]):
            best = list(outputs.tensors.values()), n
    assert best, f"every picture has more than {MOST_DETECTIONS} detections"
    return best


def measure(args: argparse.Namespace, folder: Path) -> list[Row]:
    cv2.setNumThreads(1)  # as the daemon does
    rows: list[Row] = []
    for side_px, limit in LIMITS_MS.items():
        made = material.make(folder, None, args.video or (folder / "video.avi" if rows else None), side_px)
        frames = material.frames(made.video)
        real, images = load(made.model, cache=folder / "guard"), frames[:: max(1, len(frames) // PICTURES)]
        outputs, detections = pick(real, images)
        instant = with_runner(real, outputs, 0.0)
        tries = [steps_ms(folder / f"steps-{side_px}-{n}", instant, images) for n in range(STEP_TRIES * args.rounds)]
        steps = {name: median([one[name] for one in tries]) for name in tries[0]}
        rooms: dict[str, list[float]] = {"as fast as it goes": [], f"at {args.hz:g} frames/s": []}
        for n in range(args.rounds):
            for name, pause_s, hz in zip(rooms, (0.0, RUN_S), (FLAT_OUT_HZ, args.hz), strict=True):
                cell = Cell(folder / f"{side_px}-{name}-{n}", with_runner(real, outputs, pause_s), images, hz)
                rooms[name].append(cell.measure_ms(args.seconds))
        rows += [
            Row(
                f"own CPU at {side_px} px, all rooms, as fast as it goes",
                median(rooms.pop("as fast as it goes")),
                limit,
                unit="ms",
            ),
            Row(f"  its steps alone, {detections} detections", sum(steps.values()), unit="ms"),
            *(Row(f"  {name}", value, unit="ms") for name, value in steps.items()),
            *(Row(f"  all rooms, {name}", median(values), unit="ms") for name, values in rooms.items()),
        ]
    return rows


if __name__ == "__main__":
    options = figures.parser(__doc__)
    options.add_argument("--hz", type=float, default=30.0, help="frames a second")
    options.add_argument("--seconds", type=float, default=2.0, help="of each round")
    figures.main(measure, options.parse_args())
