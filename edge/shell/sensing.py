"""Sensors of an agent: read at a steady rate, cut into windows, run through a series model like a camera's frames.

::

    sampler-<name> ─ reading ─▶ ring of samples ─ WindowCutter says when ─▶ Frame(samples) ─▶ Infer ─▶ Inferred

A window takes a frame's way from there on: its samples wait in the frame store under a FrameRef whose number is the
window's, and only values, classes and scores enter the core. A sensor is a source to the core, its name the recipe.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge.config import Loaded
from edge.core.backoff import Backoff
from edge.core.windows import WindowCutter
from edge.domain import FrameRef, Reading
from edge.events import AgentEvent, Capture, CaptureFailed, DeviceChanged, Polled, SourceChanged
from edge.models.series.predictor import SeriesPredictor
from edge.ports import Frame, Sensor
from edge.series.spec import Channel, SeriesInput
from edge.shell.assemble import make_driver
from edge.shell.capture import Sink
from edge.shell.sampler import GAP_KEY, SamplerThread
from edge.shell.worker import OnCrash

NAN = float("nan")


class SensorFeed:
    """One sensor with its windows; the same surface as a CaptureThread, so that the same wiring starts and stops it.

    ``spec`` is the model's ``[input]``; ``names`` says under which name a channel is in the readings (left out: its
    ``column``, else its own). Counters since boot: ``frames`` (windows), ``samples``, ``gaps``, ``failed_asks``.
    """

    def __init__(
        self,
        name: str,
        sensor: Sensor,
        spec: SeriesInput,
        sink: Sink,
        post: Callable[[AgentEvent], None],
        on_crash: OnCrash,
        backoff: Backoff,
        *,
        rate_hz: float,
        timeout_s: float = 1.0,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._spec = spec
        self._sink = sink
        self._post = post
        self._paused = False
        self._group: object = None
        self._channels = [((names or {}).get(c.name) or c.column or c.name, c) for c in spec.channels]
        self._ring: deque[list[float]] = deque(maxlen=spec.window_n)
        self._cutter = WindowCutter(
            window_n=spec.window_n,
            first_n=spec.first_n,
            step_n=spec.step_n,
            max_gap_n=0 if spec.gaps == "refuse" else spec.max_gap_n,
        )
        self._finite = bool(getattr(sensor, "finite", False))
        self.failed_asks = 0
        self._sampler = SamplerThread(
            name,
            sensor,
            self._take,
            on_crash,
            backoff,
            rate_hz=rate_hz,
            timeout_s=timeout_s,
            end=lambda: sink.end(name),
        )

    @property
    def up(self) -> bool:
        return self._sampler.up

    @property
    def frames(self) -> int:
        return self._cutter.windows

    @property
    def samples(self) -> int:
        return self._cutter.samples

    @property
    def gaps(self) -> int:
        return self._cutter.gaps

    def start(self) -> None:
        self._sampler.start()

    def stop(self) -> None:
        self._sampler.stop()

    def join(self, timeout_s: float = 5.0) -> bool:
        return self._sampler.join(timeout_s)

    def pause(self, paused: bool) -> None:
        """Readings are let go while paused; a window begins anew afterwards."""
        self._paused = paused

    def set_rate(self, max_fps: float) -> None:
        """A sensor's rate is the model's: it is never changed."""

    def capture(self, effect: Capture) -> None:
        """Nobody can ask a sensor for a picture."""
        self.failed_asks += 1
        self._post(CaptureFailed(self._name, effect.part_id, "SOURCE_NO_CAMERA", f"{self._name} is a sensor"))

    def _take(self, event: AgentEvent) -> None:
        """On the sampler's thread: its events. Readings stay here; the core hears of windows."""
        match event:
            case Polled():
                if self._paused:
                    self._cutter.restart()
                else:
                    self._sample(event.reading)
            case DeviceChanged():
                self._post(SourceChanged(self._name, event.up, event.code, event.what))
            case _:
                self._post(event)

    def _sample(self, reading: Reading) -> None:
        # A file waits for whoever reads it: being late leaves nothing out.
        missed = 0 if self._finite else int(reading.values.get(GAP_KEY, 0))
        group = reading.values.get(self._spec.group) if self._spec.group else None
        if group != self._group:
            self._group = group
            self._cutter.restart()
        row = [_number(reading.values.get(key), channel) for key, channel in self._channels]
        if self._spec.gaps == "refuse" and any(map(math.isnan, row)):
            self._cutter.gaps += 1
            self._cutter.restart()
            return
        turn = self._cutter.sampled(missed)
        if turn.fresh:
            self._ring.clear()
        self._ring.extend([NAN] * len(row) for _ in range(min(turn.missing, self._spec.window_n)))
        self._ring.append(row)
        if turn.cut:
            samples: Any = np.array(list(self._ring)[-turn.cut :], np.float64)
            frame = Frame(FrameRef(self._name, turn.window_no, reading.at_ns), samples)
            self._sink.submit(frame, asked_ns=reading.at_ns, recipe=self._name, deliver="every", block=self._finite)


def make_feed(
    loaded: Loaded,
    name: str,
    predictor: SeriesPredictor,
    sink: Sink,
    post: Callable[[AgentEvent], None],
    on_crash: OnCrash,
) -> SensorFeed:
    """A feed as the settings file says; nothing is opened."""
    config = loaded.config.sensors[name]
    return SensorFeed(
        name,
        make_driver(config.driver, loaded.sensor_options[name], name, loaded.folder),
        predictor.manifest.input,
        sink,
        post,
        on_crash,
        Backoff(0.2, 5.0, random.SystemRandom()),
        rate_hz=config.rate_hz,
        timeout_s=config.timeout_s,
        names=config.channels,
    )


def _number(value: object, channel: Channel) -> float:
    """A reading's value as the model counts it; NaN for what is absent, or no such thing."""
    if channel.categories:
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return float(channel.categories.index(text)) if text in channel.categories else NAN
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return NAN
