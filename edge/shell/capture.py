"""Threads ``capture-<source>``: the only ones that touch a camera.

::

    free-running    read ─▶ submit ─▶ read …            at most max_fps; on the way an ask takes its frame
    triggered       ask ─▶ read ─▶ submit               a camera that exposes on demand
                    read, read, read … ask ─▶ submit    a stream: the first frame captured after the ask

    closed ──open──▶ open ──first frame──▶ up           SourceChanged(up=True), once
       ▲               └──────error─────────┤
       └─── back-off ◀── down ◀─────────────┘           SourceChanged(up=False), once; asks fail at once

A stream is read on even when nobody wants its frames: what is not read waits in buffers and comes out old.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from edge.core.backoff import Backoff
from edge.errors import DeviceError, ImageError, JidokaError, SourceEnded
from edge.events import AgentEvent, Capture, CaptureFailed, SourceChanged
from edge.ports import Frame, FrameSource
from edge.shell.infer import Deliver
from edge.shell.pace import NS_PER_S, Pace
from edge.shell.worker import OnCrash, Worker

ASK_LIMIT = 8
NS_PER_MS = 1e6


class Sink(Protocol):
    """Where frames go: :class:`edge.shell.infer.Infer`."""

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
    ) -> bool: ...

    def end(self, source: str) -> None: ...


class _Ask(NamedTuple):
    effect: Capture
    asked_ns: int


class CaptureThread(Worker):
    """One camera, video or folder.

    ``triggered``: frames are taken for asks only. ``finite``: the source raises SourceEnded some day; no frame of it is
    lost whatever ``deliver`` says (reading waits for the model), and it is not begun again after a failure. ``timeout_s`` is for
    one read. Counters since boot: ``frames`` read, ``failed_asks``.
    """

    def __init__(
        self,
        name: str,
        source: FrameSource,
        sink: Sink,
        post: Callable[[AgentEvent], None],
        on_crash: OnCrash,
        backoff: Backoff,
        *,
        triggered: bool = False,
        deliver: Deliver = "newest",
        finite: bool = False,
        timeout_s: float = 2.0,
        max_fps: float = 0.0,
    ) -> None:
        super().__init__(f"capture-{name}", on_crash)
        self._source_name = name
        self._source = source
        self._sink = sink
        self._post = post
        self._backoff = backoff
        self._triggered = triggered
        # To skip frames keeps up with a world that moves on; a file waits.
        self._deliver: Deliver = "every" if finite else deliver
        self._finite = finite
        self._timeout_s = timeout_s
        self._pace = Pace(_period_s(max_fps))
        self._paused = False
        self._asks: deque[_Ask] = deque()
        self._up: bool | None = None
        self._missed = 0
        self.frames = self.failed_asks = 0

    @property
    def up(self) -> bool:
        return self._up is True

    def capture(self, effect: Capture) -> None:
        """Take one frame for this ask. From any thread; never blocks."""
        ask = _Ask(effect, time.monotonic_ns())
        with self.wake:
            full = len(self._asks) >= ASK_LIMIT
            if not full:
                self._asks.append(ask)
                self.wake.notify_all()
        if full:
            self._fail(ask, "CAPTURE_QUEUE_FULL", f"{ASK_LIMIT} captures of {self._source_name} wait already")

    def pause(self, paused: bool) -> None:
        """Stop or resume taking free-running frames; asks are still answered."""
        with self.wake:
            self._paused = paused
            self.wake.notify_all()

    def set_rate(self, max_fps: float) -> None:
        """At most so many free-running frames a second; 0 is no limit."""
        with self.wake:
            self._pace.restart(_period_s(max_fps))
            self.wake.notify_all()

    def work(self) -> None:
        try:
            while not self.stopping:
                try:
                    self._source.open()
                    self._serve()
                except SourceEnded:
                    self._sink.end(self._source_name)
                    self._refuse_asks("SOURCE_ENDED", f"{self._source_name} has no more frames", until_ns=None)
                except JidokaError as error:
                    self._down(error)
        finally:
            self._source.close()
            self._refuse_asks("CAPTURE_STOPPED", f"{self._source_name} was stopped", until_ns=0)

    def _serve(self) -> None:
        """Take frames until stopped. Raises what the source raises."""
        if self._triggered and self._source.on_demand:
            self._prove()
            while (ask := self._next_ask()) is not None:
                self._expose_for(ask)
            return
        if self._triggered and self._finite:
            self._rise()  # its first picture is the first part's, and a PLC may send none before everything is there
        while self._wait_turn():
            frame = self._read_next()
            if frame is not None:
                self._hand_over(frame)

    def _prove(self) -> None:
        """One frame for nobody: the camera is not only there, it takes pictures. Raises DeviceError."""
        self._read(self._timeout_s)

    def _read(self, timeout_s: float) -> Frame:
        frame = self._source.read(timeout_s)
        self.frames += 1
        self._backoff.reset()
        self._rise()
        return frame

    def _rise(self) -> None:
        if not self._up:
            self._up = True
            self._post(SourceChanged(self._source_name, up=True, missed=self._missed))
            self._missed = 0

    def _read_next(self) -> Frame | None:
        """The next frame; None where a finite source has a picture that is unreadable or late: others still come."""
        try:
            return self._read(self._timeout_s)
        except DeviceError as error:
            if not (self._finite and error.code == "SOURCE_TIMEOUT"):
                raise
            return None
        except ImageError as error:
            if not self._finite:
                raise
            self._post(CaptureFailed(self._source_name, None, error.code, str(error)))
            return None

    def _next_ask(self) -> _Ask | None:
        """Wait for the next ask; None when stopping."""
        with self.wake:
            self.wake.wait_for(lambda: self._asks or self.stopping)
            return None if self.stopping else self._asks.popleft()

    def _expose_for(self, ask: _Ask) -> None:
        """Raises DeviceError only when the source is really gone: a time-out cut short by a deadline proves nothing."""
        left_s = (ask.effect.deadline_ns - time.monotonic_ns()) / NS_PER_S
        if left_s <= 0:
            self._fail_late(ask)
            return
        try:
            frame = self._read(min(self._timeout_s, left_s))
        except JidokaError as error:
            self._fail(ask, error.code, str(error))
            if isinstance(error, SourceEnded):
                raise
            try:
                self._prove()
            except JidokaError as second:
                # Some drivers close when the connection goes: then the first error is the one that says why.
                raise (error if second.code == "SOURCE_NOT_OPEN" else second) from None
        else:
            self._submit_for(ask, frame)

    # --- streams, files, and free-running cameras

    def _wait_turn(self) -> bool:
        """Until the next frame is to be read; False when stopping. A live stream is never made to wait."""
        if not self._finite and not self._source.on_demand:
            return not self.stopping
        with self.wake:
            while not self.stopping and not self._asks:
                wait_ns = self._pace.wait_ns(time.monotonic_ns())
                held = self._paused or self._triggered
                if not held and not wait_ns:
                    break
                self.wake.wait(None if held else wait_ns / NS_PER_S)
            return not self.stopping

    def _hand_over(self, frame: Frame) -> None:
        ask = self._ask_for(frame)
        if ask is not None:
            self._submit_for(ask, frame)
        elif not self._triggered and not self._paused and self._pace.take(time.monotonic_ns()):
            self._sink.submit(frame, asked_ns=frame.ref.captured_ns, deliver=self._deliver, block=self._finite)

    def _ask_for(self, frame: Frame) -> _Ask | None:
        """The oldest ask this frame answers, one only, for it names one part; asks whose time is over fail."""
        now_ns = time.monotonic_ns()
        with self.wake:
            late = [ask for ask in self._asks if ask.effect.deadline_ns <= now_ns]
            self._asks = deque(ask for ask in self._asks if ask.effect.deadline_ns > now_ns)
            fits = bool(self._asks) and (self._finite or frame.ref.captured_ns >= self._asks[0].asked_ns)
            ask = self._asks.popleft() if fits else None
        for one in late:
            self._fail_late(one)
        return ask

    # --- what asks become

    def _submit_for(self, ask: _Ask, frame: Frame) -> None:
        effect = ask.effect
        if time.monotonic_ns() > effect.deadline_ns:
            self._fail_late(ask)
            return
        self._sink.submit(
            frame,
            asked_ns=ask.asked_ns,
            part_id=effect.part_id,
            recipe=effect.recipe,
            deadline_ns=effect.deadline_ns,
        )

    def _fail_late(self, ask: _Ask) -> None:
        late_ms = (time.monotonic_ns() - ask.effect.deadline_ns) / NS_PER_MS
        self._fail(ask, "CAPTURE_LATE", f"no frame of {self._source_name} in time, {late_ms:.0f} ms past the deadline")

    def _fail(self, ask: _Ask, code: str, what: str) -> None:
        self.failed_asks += 1
        self._post(CaptureFailed(self._source_name, ask.effect.part_id, code, what))

    def _down(self, error: JidokaError) -> None:
        """Close, say so once, and wait for the next try; asks fail meanwhile."""
        self._source.close()
        if self._up is not False:
            self._up = False
            self._post(SourceChanged(self._source_name, up=False, code=error.code, what=str(error)))
        if self._finite and self.frames:
            self._sink.end(self._source_name)
            self._refuse_asks(error.code, str(error), until_ns=None)
            return
        wait_ns = int(self._backoff.next_s() * NS_PER_S)
        self._refuse_asks(error.code, str(error), until_ns=time.monotonic_ns() + wait_ns)

    def _refuse_asks(self, code: str, what: str, until_ns: int | None) -> None:
        """Fail every ask that is here or comes before ``until_ns`` (None: before the stop)."""
        while True:
            with self.wake:
                left_ns = None if until_ns is None else until_ns - time.monotonic_ns()
                if not self._asks and not self.stopping and (left_ns is None or left_ns > 0):
                    self.wake.wait(None if left_ns is None else left_ns / NS_PER_S)
                asks, self._asks = self._asks, deque()
            for ask in asks:
                self._missed += 1
                self._fail(ask, code, what)
            if self.stopping or (until_ns is not None and time.monotonic_ns() >= until_ns):
                return


def _period_s(max_fps: float) -> float:
    return 1.0 / max_fps if max_fps > 0 else 0.0
