"""Messages as people read them: one line each, and as plain JSON values for scripts."""

from __future__ import annotations

import datetime as dt
from typing import Any, assert_never

import msgspec

from edge.domain import Kind
from edge.errors import RemoteError
from edge.messages import (
    Ack,
    Ask,
    Desired,
    Envelope,
    Event,
    Evidence,
    Gap,
    Message,
    Metrics,
    Record,
    Reply,
    Reported,
    Result,
    State,
    decode_record,
)

MAX_SHOWN = 6
"""More findings, settings or counters than these are only counted."""


def lines_of(message: Message) -> list[str]:
    """What one message says, in one line for itself or for each of its records."""
    match message:
        case Envelope():
            return [_record_line(message.kind, message.first_seq + i, bytes(raw)) for i, raw in enumerate(message.body)]
        case State():
            return [_state(message)]
        case Metrics():
            numbers = {**message.counters, **{name: round(value, 2) for name, value in message.gauges.items()}}
            return [_pairs(numbers, at_most=2 * MAX_SHOWN)]
        case Reported():
            verdict = (
                f"runs revision {message.rev}" if message.ok else f"refused revision {message.rev}: {message.code}"
            )
            return [_joined(verdict, message.what, _pairs(message.settings))]
        case Reply():
            return [_joined(f"{message.id} {'ok' if message.ok else message.code}", message.what, _pairs(message.body))]
        case Desired():
            model = f"model {message.model}" if message.model else ""
            return [_joined(f"revision {message.rev}", _pairs(message.settings), model)]
        case Ask():
            return [_joined(f"{message.id} {message.op} within {message.ttl_s:g} s", _pairs(message.args))]
        case Ack():
            return ["ledger holds " + ", ".join(f"{kind} to {seq}" for kind, seq in message.upto.items())]
        case _:
            assert_never(message)


def plain(message: Message) -> dict[str, Any]:
    """JSON values of one message; records are decoded, pictures given by their size."""
    if not isinstance(message, Envelope):
        return dict(msgspec.to_builtins(message))
    body = []
    for raw in message.body:
        try:
            record = decode_record(message.kind, bytes(raw))
        except RemoteError as error:
            body.append({"error": {"code": error.code, "what": error.what}})
            continue
        size = {"jpeg_bytes": len(record.jpeg)} if isinstance(record, Evidence) else {}
        fields = msgspec.structs.replace(record, jpeg=b"") if isinstance(record, Evidence) else record
        body.append({key: value for key, value in msgspec.to_builtins(fields).items() if key != "jpeg"} | size)
    frame = {name: getattr(message, name) for name in message.__struct_fields__ if name != "body"}
    return {**frame, "body": body}


def clock(utc_ms: int) -> str:
    """Local time of day, to the millisecond."""
    try:
        moment = dt.datetime.fromtimestamp(utc_ms / 1000, tz=dt.UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return "??:??:??.???"
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _record_line(kind: Kind, seq: int, raw: bytes) -> str:
    try:
        record = decode_record(kind, raw)
    except RemoteError as error:
        return f"#{seq} {error}"
    return f"#{seq} {_record(record)}"


def _record(record: Record) -> str:
    match record:
        case Result():
            part = f"part {record.part_no if record.part_no is not None else record.part_id}"
            reasons = ", ".join(_reason(one.rule, one.label, one.seen) for one in record.reasons[:MAX_SHOWN])
            speed = f"{record.latency_ms.total:.0f} ms" if record.latency_ms.total else ""
            found = f"{len(record.findings)} found" if record.findings else ""
            spoke = sum(1 for view in record.views if view.frames)
            views = f"{spoke} of {len(record.views)} views" if record.views else ""
            return _joined(
                f"{record.decision:<6} {part} {record.source}/{record.frame_no}", reasons, found, views, speed
            )
        case Event():
            return _joined(f"{record.level} {record.code}", record.text, _pairs(record.data))
        case Gap():
            return f"gap {record.kind} {record.first} to {record.last}: {record.why}"
        case Evidence():
            size = f"{record.width_px} x {record.height_px} px, {len(record.jpeg) / 1024:.0f} KiB"
            return _joined(f"{record.decision:<6} {record.source}/{record.frame_no}", size, record.why)
        case _:
            assert_never(record)


def _state(state: State) -> str:
    ready = "" if state.status != "online" else "ready" if state.ready else "not ready"
    model = f"{state.model.name} {state.model.version}" if state.model else ""
    paused = "paused" if state.paused else ""
    why = "; ".join(state.why_not)
    return _joined(f"{state.status} boot {state.boot_no} connection {state.conn_no}", ready, why, paused, model)


def _reason(rule: str, label: str, seen: float) -> str:
    return " ".join(part for part in (rule, label, f"{seen:g}" if seen else "") if part)


def _pairs(values: dict[str, Any], at_most: int = MAX_SHOWN) -> str:
    shown = [f"{key}={value}" for key, value in list(values.items())[:at_most]]
    return " ".join(shown) + (f" and {len(values) - at_most} more" if len(values) > at_most else "")


def _joined(*parts: str) -> str:
    return ", ".join(" ".join(part.split()) for part in parts if part.strip())
