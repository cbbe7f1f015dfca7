"""Records as rows: what of a message becomes which column."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.core.ingest import Row
from edge.messages import Event, Evidence, Gap, Result

_json = msgspec.json.Encoder()


def text_of(value: object) -> str:
    """JSON text of a struct or a tuple of structs."""
    return _json.encode(value).decode()


def to_row(row: Row, stream_id: int, received_utc_ms: int) -> tuple[str, dict[str, Any]]:
    """(table name, values) of one record."""
    base = {"stream_id": stream_id, "seq": row.seq, "received_utc_ms": received_utc_ms}
    match row.record:
        case Result() as result:
            return "results", base | _result(result)
        case Event() as record:
            return "events", base | {
                "utc_ms": record.utc_ms,
                "code": record.code,
                "level": record.level,
                "text": record.text,
                "data": text_of(record.data),
            }
        case Gap() as gap:
            told = {"kind": gap.kind, "first": gap.first, "last": gap.last, "why": gap.why}
            text = f"{gap.kind} {gap.first} to {gap.last} will not come: {gap.why}"
            values = {"utc_ms": gap.utc_ms, "code": "RECORDS_GONE", "level": "warning", "text": text}
            return "events", base | values | {"data": text_of(told)}
        case Evidence() as evidence:
            return "evidence", base | _evidence(evidence)
        case None:
            return "unreadable", base | {"payload": row.payload}


def _result(result: Result) -> dict[str, Any]:
    model = result.model
    return {
        "utc_ms": result.utc_ms,
        "decision": result.decision,
        "source": result.source,
        "frame_no": result.frame_no,
        "part_id": result.part_id,
        "boot_no": result.boot_no,
        "part_no": result.part_no,
        "encoder": result.encoder,
        "recipe": result.recipe,
        "settings_rev": result.settings_rev,
        "model_name": model.name if model else None,
        "model_version": model.version if model else None,
        "model_sha256": model.sha256 if model else None,
        "clock_trusted": result.clock_trusted,
        "reasons": text_of(result.reasons),
        "findings": text_of(result.findings),
        "latency_ms": text_of(result.latency_ms),
        "values": text_of(result.values),
        "views": text_of(result.views),
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "utc_ms": evidence.utc_ms,
        "source": evidence.source,
        "frame_no": evidence.frame_no,
        "part_id": evidence.part_id,
        "boot_no": evidence.boot_no,
        "part_no": evidence.part_no,
        "decision": evidence.decision,
        "why": evidence.why,
        "ask_id": evidence.ask_id,
        "width_px": evidence.width_px,
        "height_px": evidence.height_px,
        "overlay": evidence.overlay,
        "size_bytes": len(evidence.jpeg),
        "jpeg": evidence.jpeg,
    }
