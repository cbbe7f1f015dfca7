"""Threads ``infer-<model>-<n>``: frames in, findings out, in the order the frames came.

::

    capture-cam ─ read ─ preprocess ─▶ Slots ─▶ infer-m-0 ─ run ─ postprocess ─┐
                     (next frame)           └─▶ infer-m-1 ─ run ─ postprocess ─┴▶ Order ─▶ FrameStore, post(Inferred)

``preprocess`` runs in the capture thread, so that the next frame is ready while the model is busy with the present one;
OpenCV and ONNX Runtime let go of the interpreter lock meanwhile. Workers of one model share one session.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edge.domain import Inference
from edge.events import AgentEvent, InferFailed, Inferred, SourceEnd
from edge.ports import Frame
from edge.shell.engine import Engine, InferWorker, code_of
from edge.shell.framestore import FrameStore, Shot
from edge.shell.order import Order
from edge.shell.slots import Job, Slots
from edge.shell.worker import OnCrash
from edge.vision.findings import to_inference
from edge.vision.prediction import Prediction
from edge.vision.region import Region, cut, move_back

NS_PER_MS = 1e6
EVERY_LIMIT = 8
"""Frames of one source that may wait with ``every``; frames that were asked for always wait like this."""
BLOCK_LIMIT = 4
"""Enough to keep the workers busy where reading waits for the model; each waiting frame holds a blob."""
WARM_EVERY_S = 3.0
LOOK_EVERY_S = 0.1

Deliver = Literal["newest", "every"]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a recipe's frames go: which engine, which part of the frame, and how arrays become findings."""

    engine: str
    region_px: Region | None = None
    to_inference: Callable[[Prediction], Inference] = to_inference


class Infer:
    """All models of the agent, ``routes`` by recipe; the recipe ``""`` must be there.

    Counters since boot: ``answered``, ``failed`` (each with an InferFailed), ``replaced`` (free-running frames that a
    newer one displaced, in silence).
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        routes: Mapping[str, Route],
        *,
        store: FrameStore,
        post: Callable[[AgentEvent], None],
        on_crash: OnCrash,
        mm_per_px: Mapping[str, float | None] | None = None,
        warm_every_s: float = WARM_EVERY_S,
    ) -> None:
        self._engines = {engine.name: engine for engine in engines}
        self._routes = dict(routes)
        self._store = store
        self._post = post
        self._mm_per_px = dict(mm_per_px or {})
        self._recipe = ""
        self._slots = {engine.name: Slots() for engine in engines}
        self._order: Order[AgentEvent] = Order()
        self._lock = threading.Lock()
        self.answered = self.replaced = self.failed = 0
        self._workers = [
            InferWorker(
                f"infer-{engine.name}-{n}", engine, self._slots[engine.name], self._answer, warm_every_s, on_crash
            )
            for engine in engines
            for n in range(engine.workers)
        ]

    @property
    def last_answer_ns(self) -> int:
        """When the slowest worker last got an answer out of its model; 0 before all have. For the watchdog."""
        return min(worker.last_answer_ns for worker in self._workers)

    @property
    def last_error(self) -> str:
        """What the last failed warm-up said; empty while all is well."""
        return next((worker.warm_error for worker in self._workers if worker.warm_error), "")

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Frames still waiting are let go unanswered: stop the captures first."""
        for worker in self._workers:
            worker.stop()
        for slots in self._slots.values():
            slots.close()

    def join(self, timeout_s: float = 5.0) -> bool:
        end = time.monotonic() + timeout_s
        joined = [worker.join(max(0.0, end - time.monotonic())) for worker in self._workers]
        return all(joined)

    def wait_warm(self, timeout_s: float, enough: Callable[[], bool] = lambda: False) -> bool:
        """Wait until every worker's model answered a warm-up frame. False when one failed, when ``enough()`` says so,
        or after ``timeout_s``.
        """
        end = time.monotonic() + timeout_s
        while cold := [worker for worker in self._workers if not worker.warm.is_set()]:
            left_s = end - time.monotonic()
            if left_s <= 0 or self.last_error or enough():
                break
            cold[0].warm.wait(min(left_s, LOOK_EVERY_S))
        return not cold

    def use_recipe(self, recipe: str) -> None:
        """From the next free-running frame on."""
        self._recipe = recipe

    def submit(
        self,
        frame: Frame,
        *,
        asked_ns: int,
        part_id: int | None = None,
        recipe: str | None = None,
        deadline_ns: int | None = None,
        deliver: Deliver = "newest",
        block: bool = False,
    ) -> bool:
        """Hand over one frame from its source's capture thread; False when it was dropped (then an event says so).

        Frames that were asked for (``deadline_ns`` is given) and ``every`` wait in line, at most ``EVERY_LIMIT``; then ``block`` waits, else the frame is
        dropped with InferFailed FRAME_DROPPED. ``newest`` takes the place of an older one that still waits.
        """
        taken_ns = time.monotonic_ns()
        recipe = self._recipe if recipe is None else recipe
        source = frame.ref.source
        with self._lock:
            job = Job(frame, part_id, recipe, asked_ns, taken_ns, self._order.draw(source), deadline_ns)
        route = self._routes.get(recipe)
        if route is None:
            return self._fail(job, "RECIPE_UNKNOWN", f"there is no recipe {recipe!r}")
        slots = self._slots[route.engine]
        queued = deadline_ns is not None or deliver == "every"
        if queued and not self._has_room(slots, job, block=block):
            return self._fail(job, "FRAME_DROPPED", f"{EVERY_LIMIT} frames of {source} wait already")
        try:
            self._prepare(job, self._engines[route.engine], route)
        except Exception as error:  # noqa: BLE001 - a frame or model that fails costs its part a verdict, not the thread
            return self._fail(job, *code_of(error))
        if queued:
            slots.put(job)
            return True
        old = slots.replace(job)
        if old is not None:
            self._done(old, replaced=True)
        return True

    def end(self, source: str) -> None:
        """The source has no more frames: SourceEnd follows its last answer."""
        with self._lock:
            ticket = self._order.draw(source)
            for event in self._order.done(source, ticket, (SourceEnd(source),)):
                self._post(event)

    def waiting(self, source: str) -> int:
        """Frames of ``source`` handed over and not answered yet."""
        return self._order.waiting(source)

    def _has_room(self, slots: Slots, job: Job, *, block: bool) -> bool:
        source = job.frame.ref.source
        if block:
            return slots.wait_room(source, BLOCK_LIMIT, asked=job.asked)
        return slots.room(source, EVERY_LIMIT, asked=job.asked)

    def _prepare(self, job: Job, engine: Engine, route: Route) -> None:
        image = job.frame.image
        if route.region_px is not None:
            image, job.corner_px = cut(image, route.region_px)
        job.prepared = engine.steps.preprocess(image)

    def _answer(self, job: Job, engine: Engine) -> bool:
        """On a worker's thread. True if the model answered."""
        started_ns = time.monotonic_ns()
        if job.deadline_ns is not None and started_ns > job.deadline_ns:
            late_ms = (started_ns - job.deadline_ns) / NS_PER_MS
            return self._fail(job, "FRAME_LATE", f"its deadline passed {late_ms:.1f} ms before the model was free")
        route, frame = self._routes[job.recipe], job.frame
        try:
            outputs = engine.steps.run(job.prepared)
            prediction = engine.steps.postprocess(outputs, job.prepared, self._mm_per_px.get(frame.ref.source))
            if route.region_px is not None:
                prediction = move_back(prediction, job.corner_px, frame.image.shape)
            inference = route.to_inference(prediction)
        except Exception as error:  # noqa: BLE001 - the model is a stranger's; its part gets no verdict, the line goes on
            return self._fail(job, "MODEL_FAILED", code_of(error)[1])
        self._store.put(Shot(frame, prediction, job.part_id, job.recipe, engine.name))
        capture_ms = (job.taken_ns - job.asked_ns) / NS_PER_MS
        queue_ms = max(0.0, (started_ns - job.taken_ns) / NS_PER_MS - inference.preprocess_ms)
        self._done(
            job,
            Inferred(
                frame.ref, job.part_id, inference, engine.name, job.asked_ns, capture_ms, queue_ms, recipe=job.recipe
            ),
            answered=True,
        )
        return True

    def _fail(self, job: Job, code: str, what: str) -> bool:
        # Told at once, not in its turn: the frames before it may be stuck, and a part without a verdict is urgent.
        self._post(InferFailed(job.frame.ref.source, job.part_id, code, what))
        self._done(job, failed=True)
        return False

    def _done(
        self, job: Job, *events: AgentEvent, answered: bool = False, failed: bool = False, replaced: bool = False
    ) -> None:
        # Posting under the lock: two workers that finish together must not overtake each other on the way out.
        with self._lock:
            self.answered += answered
            self.failed += failed
            self.replaced += replaced
            for event in self._order.done(job.frame.ref.source, job.ticket, events):
                self._post(event)
