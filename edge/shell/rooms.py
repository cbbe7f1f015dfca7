"""The rooms of an agent: every shell that has a thread, built from the settings."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge.config import Loaded
from edge.core.backoff import Backoff
from edge.events import AgentEvent
from edge.messages import encode_record
from edge.shell.actuate import ActuateThread
from edge.shell.assemble import Models, endpoint, make_driver
from edge.shell.capture import CaptureThread
from edge.shell.carrier import Shells
from edge.shell.evidence import EvidenceThread
from edge.shell.framestore import FrameStore
from edge.shell.infer import Infer
from edge.shell.journal import Journal
from edge.shell.keeper import Keeper
from edge.shell.worker import OnCrash

if TYPE_CHECKING:
    from edge.shell.sensing import SensorFeed

Post = Callable[[AgentEvent], None]


def make_rooms(
    loaded: Loaded,
    models: Models,
    journal: Journal,
    post: Post,
    on_crash: OnCrash,
    utc_ms: Callable[[int], int],
) -> Shells:
    """All of them. ``utc_ms(at_ns)`` labels records; nothing is opened and no thread runs yet."""
    config = loaded.config
    store = FrameStore()
    scale = {name: source.mm_per_px for name, source in config.sources.items()}
    infer = Infer(models.engines, models.routes, store=store, post=post, on_crash=on_crash, mm_per_px=scale)
    link = None
    if config.link is not None:
        from edge.shell.mqtt import MqttLink  # brings paho, which an agent without a link never needs

        where = endpoint(loaded, config.link)
        link = MqttLink(where, config.agent.site, config.agent.id, post, lambda: journal.bump("conn_no"))
    evidence = EvidenceThread(
        store,
        lambda record: journal.append("evidence", encode_record(record)),
        post,
        on_crash,
        overlay=config.evidence.overlay,
        jpeg_quality=config.evidence.jpeg_quality,
        max_width_px=config.evidence.max_width_px,
        utc_ms=utc_ms,
    )
    captures: dict[str, CaptureThread | SensorFeed] = {
        n: _capture(loaded, n, infer, post, on_crash) for n in config.sources
    }
    for name, predictor in models.sensors.items():
        from edge.shell.sensing import make_feed  # most agents have cameras only

        captures[name] = make_feed(loaded, name, predictor, infer, post, on_crash)
    devices = {name: _device(loaded, name, post, on_crash) for name in config.devices}
    keeper = Keeper(journal, link, post, lambda: utc_ms(time.monotonic_ns()), on_crash)
    return Shells(captures, infer, devices, store, evidence, journal, keeper, link)


def _capture(loaded: Loaded, name: str, infer: Infer, post: Post, on_crash: OnCrash) -> CaptureThread:
    config = loaded.config.sources[name]
    source = make_driver(config.driver, loaded.source_options[name], name, loaded.folder)
    return CaptureThread(
        name,
        source,
        infer,
        post,
        on_crash,
        Backoff(0.2, 5.0, random.SystemRandom()),
        triggered=config.trigger == "plc",
        deliver=config.deliver,
        finite=bool(getattr(source, "finite", False)),
        timeout_s=config.timeout_s,
        max_fps=config.max_fps,
    )


def _device(loaded: Loaded, name: str, post: Post, on_crash: OnCrash) -> ActuateThread:
    config = loaded.config
    device = make_driver(config.devices[name].driver, loaded.device_options[name], name, loaded.folder)
    plc = config.plc if config.plc and config.plc.device == name else None
    return ActuateThread(
        name,
        device,
        post,
        on_crash,
        Backoff(0.1, 1.0, random.SystemRandom()),
        poll_ms=plc.poll_ms if plc else 0.0,
        every_poll=plc is not None and plc.gate == "agent",
    )
