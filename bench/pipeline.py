"""Frames a second from a video file, beside bare ``session.run`` with the same model, everything in one run.

``bare``      one thread, preallocated input, nothing before or after: 1.0 by definition
``serial``    what a tutorial writes: read, blobFromImage, run, NMSBoxes, one after the other
``pipeline``  capture thread and inference workers of the agent, every frame, findings out in order
``daemon``    the whole agent: the same, with core, verdicts and journal
``peer``      with ``--peer``: Ultralytics' own predictor in another virtual environment, told its python

Kinds take turns in short slices, several rounds; ratios are of medians. Two cores are needed whole: where other
processes work too, the slices they disturbed most are left out, and how busy they were in the rest is told.

Usage: python bench/pipeline.py [--json] [--rounds 6] [--seconds 1]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import cv2
import figures
import material
import numpy as np
import procs
from figures import Row, median

from drivers.camera_opencv import OpenCvCamera, OpenCvOptions
from edge.config import load_agent
from edge.core.backoff import Backoff
from edge.events import Inferred
from edge.models.loading import load
from edge.models.predictor import Predictor
from edge.shell.agent import Agent
from edge.shell.assemble import load_models
from edge.shell.capture import CaptureThread
from edge.shell.engine import Engine
from edge.shell.framestore import FrameStore
from edge.shell.infer import Infer, Route

SETTLE_FRAMES = 8
SCORE, IOU = 0.25, 0.45
Slice = Callable[[float], float]
"""Run for so many seconds; frames a second."""


def bare(model: Any) -> Slice:
    name, shape = material.input_of(model)
    blob = np.random.default_rng(1).random(shape, np.float32)

    def run(seconds: float) -> float:
        n, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            model.run(None, {name: blob})
            n += 1
        return n / (time.perf_counter() - began)

    return run


def serial(model: Any, video: Path) -> Slice:
    name, shape = material.input_of(model)

    def run(seconds: float) -> float:
        capture = cv2.VideoCapture(str(video))
        cv2.setNumThreads(-1)  # its own default
        n, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            found, frame = capture.read()
            if not found:
                capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
                continue
            blob = cv2.dnn.blobFromImage(frame, 1 / 255, shape[:1:-1], swapRB=True)
            rows = model.run(None, {name: blob})[0][0].T
            scores = rows[:, 4:].max(axis=1)
            rows, scores = rows[scores >= SCORE], scores[scores >= SCORE]
            boxes = np.hstack([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]])
            cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), rows[:, 4:].argmax(axis=1).tolist(), SCORE, IOU)
            n += 1
        took = time.perf_counter() - began
        capture.release()
        return n / took

    return run


def pipeline(predictor: Predictor, video: Path, workers: int) -> Slice:
    def run(seconds: float) -> float:
        cv2.setNumThreads(1)  # as the daemon does
        store, crashes, failed = FrameStore(), [], []

        def post(event: Any) -> None:
            if isinstance(event, Inferred):
                store.release(event.ref)  # as the core says of a part that passed
            elif "Failed" in type(event).__name__:
                failed.append(event)

        infer = Infer(
            [Engine("m", predictor, workers)], {"": Route("m")}, store=store, post=post, on_crash=crashes.append
        )
        camera = OpenCvCamera("camera", OpenCvOptions(str(video), loop=True))
        backoff = Backoff(0.1, 1.0, np.random.default_rng(1))
        capture = CaptureThread(
            "camera", camera, infer, post, crashes.append, backoff, deliver="every", finite=camera.finite
        )
        infer.start()
        infer.wait_warm(60)
        capture.start()
        try:
            rate = frames_per_s(infer, seconds)
            assert not failed, failed
        finally:
            capture.stop()
            infer.stop()
            capture.join()
            infer.join()
        assert not crashes, crashes
        return rate

    return run


def daemon(settings: Path) -> Slice:
    def run(seconds: float) -> float:
        loaded = load_agent(settings)
        agent = Agent(loaded, load_models(loaded), lambda *_: None)
        core = threading.Thread(target=agent.run)
        try:
            assert agent.start(), "the model did not answer"
            core.start()
            return frames_per_s(agent.shells.infer, seconds)
        finally:
            agent.stop("measured")
            core.join()
            agent.close()

    return run


def frames_per_s(infer: Infer, seconds: float) -> float:
    """From one answer to another, as the others are counted: a slice that ends between two would lose half a frame."""
    n, began = next_answer(infer, SETTLE_FRAMES)
    threading.Event().wait(seconds)
    end, ended = next_answer(infer, infer.answered + 1)
    return (end - n) / (ended - began)


def next_answer(infer: Infer, least: int) -> tuple[int, float]:
    """When there are ``least`` answers: how many, and the time."""
    tick, patience = threading.Event(), time.monotonic() + 30
    while (n := infer.answered) < least and time.monotonic() < patience:
        tick.wait(0.001)
    return n, time.perf_counter()


class Peer:
    """A child that has everything loaded and waits for slices to run."""

    def __init__(self, python: Path, threads: int, made: material.Material) -> None:
        script = Path(__file__).with_name("peer_ultralytics.py")
        side_px = material.input_of(material.session(made.model))[1][2]
        command = [str(python), str(script), str(made.model), str(made.video), str(side_px), str(threads)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self(1.0)

    def __call__(self, seconds: float) -> float:
        print(seconds, file=self._child.stdin, flush=True)
        for line in self._child.stdout or ():
            if line.startswith("{"):  # it says other things, too
                return float(json.loads(line)["fps"])
        raise RuntimeError("the peer ended")

    def close(self) -> None:
        self._child.communicate()


class Others:
    """How many cores other processes (or other machines on this host) kept busy meanwhile; Linux."""

    def __init__(self, *, a_peer: bool) -> None:
        self._a_peer = a_peer
        self.cores = 0.0

    def __enter__(self) -> Self:
        self._began, self._busy_s, self._own_s = time.perf_counter(), self._all_s(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        took_s = time.perf_counter() - self._began
        busy_s = self._all_s() - self._busy_s - (time.process_time() - self._own_s)
        # a peer is a child that still runs: nobody counts its time apart, so its slices are all alike
        self.cores = 0.0 if self._a_peer else busy_s / took_s

    def _all_s(self) -> float:
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        )
        return (user + nice + system + irq + softirq + steal) / procs.TICKS_PER_S


def measure(args: argparse.Namespace, folder: Path) -> list[Row]:
    made = material.make(folder, args.model, args.video)
    model, predictor = material.session(made.model), load(made.model, cache=folder / "guard")
    kinds: dict[str, Slice] = {
        "bare": bare(model),
        "pipeline, 1 worker": pipeline(predictor, made.video, 1),
        "pipeline, 2 workers": pipeline(predictor, made.video, 2),
        "serial": serial(model, made.video),
        "daemon, 1 worker": daemon(material.settings(made, folder / "d1")),
        "daemon, 2 workers": daemon(material.settings(made, folder / "d2", workers=2)),
    }
    with contextlib.ExitStack() as peers:
        for threads in (1, 2) if args.peer else ():
            child = peers.enter_context(contextlib.closing(Peer(args.peer, threads, made)))
            kinds[f"peer, {threads} threads"] = child
        seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for _ in range(args.rounds):
            for name, run in kinds.items():
                with Others(a_peer=name.startswith("peer")) as others:
                    rate = run(args.seconds)
                seen[name].append((others.cores, rate))
    quiet = {name: sorted(slices)[: max(1, (len(slices) + 1) // 2)] for name, slices in seen.items()}
    fps = {name: median([rate for _, rate in slices]) for name, slices in quiet.items()}
    busy = max(cores for slices in quiet.values() for cores, _ in slices)
    told = [Row(name, value, unit="frames/s") for name, value in fps.items()]
    return [*rows(fps), *told, Row("other processes, at most", busy, unit="cores")]


def rows(fps: dict[str, float]) -> list[Row]:
    limits = {"pipeline, 1 worker": 0.95, "daemon, 1 worker": 0.95, "pipeline, 2 workers": 1.55}
    limits["daemon, 2 workers"] = 1.55
    base = fps["bare"]
    found = [Row(f"{name} / bare", fps[name] / base, limits.get(name), least=True) for name in fps if name != "bare"]
    for threads, limit in ((1, 1.15), (2, 1.3)):
        if f"peer, {threads} threads" in fps:
            workers = f"{threads} worker{'s' * (threads > 1)}"
            ratio = fps[f"daemon, {workers}"] / fps[f"peer, {threads} threads"]
            found.append(Row(f"daemon, {workers} / peer, {threads} threads", ratio, limit, least=True))
    return found


if __name__ == "__main__":
    options = figures.parser(__doc__)
    options.set_defaults(rounds=6)
    options.add_argument("--seconds", type=float, default=1.0, help="of each slice")
    options.add_argument("--peer", type=Path, metavar="PYTHON", help="a python that has Ultralytics")
    figures.main(measure, options.parse_args())
