"""Contiguity, acknowledgement and gaps: what the ledger knows of a stream, as arithmetic on ranges.

A stream is covered where a record was stored or a ``Gap`` explained that none will come::

    seq      1 2 3 4 5 6 7 8 9        stored 1..3, 6..7; gap 4..4
    covered  ■ ■ ■ g . ■ ■ . .   ──▶  upto = 4, islands = [6..7], missing = [5..5]

Covering is a union, so order, repetition and batching of arrivals cannot matter, and ``upto`` only grows. The SQL
ledger and its in-memory twin both run :func:`plan` inside their transaction; neither has rules of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from edge.domain import Kind, SeqRange
from edge.errors import RemoteError
from edge.messages import Event, Evidence, Gap, Record, Result, decode_record
from edge.ports import Batch

MAX_SEQ = 2**53 - 1
"""Sequence numbers stay exact in every JSON reader (RFC 8259 §6)."""

MAX_ISLANDS = 256
"""Ranges beyond ``upto`` that one stream may have. An agent has at most a window in flight and goes back to
``upto + 1``, so honest streams have a handful; a batch that would make more is not taken and not acknowledged.
"""

_INT64 = 2**63

StreamKey = tuple[str, str, str, Kind]
"""(site, agent, log, kind)."""


class Stream(Struct, frozen=True):
    """Covered are 1..``upto`` and the ``islands``: ascending, apart from each other and from ``upto`` by a hole."""

    upto: int = 0
    islands: tuple[SeqRange, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One record to be stored. ``record`` is None where the bytes could not be read; they are kept as they came."""

    key: StreamKey
    seq: int
    payload: bytes
    record: Record | None


@dataclass(slots=True)
class Plan:
    """What one transaction has to write. ``streams`` are all that were touched, with their new state."""

    streams: dict[StreamKey, Stream]
    rows: list[Row] = field(default_factory=list)
    gaps: list[tuple[StreamKey, Gap]] = field(default_factory=list)
    touched: dict[StreamKey, None] = field(default_factory=dict)
    malformed: int = 0
    refused: int = 0


def cover(stream: Stream, first: int, last: int) -> Stream:
    """The stream with ``first``..``last`` covered as well. Needs 1 <= first <= last."""
    if last <= stream.upto:
        return stream
    if first <= stream.upto + 1 and not stream.islands:  # the way nearly every batch goes
        return Stream(last)
    parts = sorted((SeqRange(1, stream.upto), *stream.islands, SeqRange(first, last)))
    merged: list[SeqRange] = []
    for part in parts:
        if merged and part.first <= merged[-1].last + 1:
            merged[-1] = SeqRange(merged[-1].first, max(merged[-1].last, part.last))
        else:
            merged.append(part)
    return Stream(merged[0].last, tuple(merged[1:]))


def missing(stream: Stream) -> list[SeqRange]:
    """The holes between ``upto`` and the last island: neither stored nor explained."""
    holes = []
    last = stream.upto
    for island in stream.islands:
        holes.append(SeqRange(last + 1, island.first - 1))
        last = island.last
    return holes


def takes(stream: Stream, first: int, last: int) -> bool:
    """False where numbers make no sense or the stream would fall into too many pieces."""
    return 1 <= first <= last <= MAX_SEQ and len(cover(stream, first, last).islands) <= MAX_ISLANDS


def plan(known: Mapping[StreamKey, Stream], batches: Sequence[Batch]) -> Plan:
    """What to write for ``batches``, given the streams as the ledger has them (absent ones are new).

    A record that cannot be read is stored as bytes and covered: sending it again would not make it better.
    """
    out = Plan(dict(known))
    for batch in batches:
        key: StreamKey = (batch.site, batch.agent, batch.log, batch.kind)
        stream = out.streams.get(key, Stream())
        last = batch.first_seq + len(batch.records) - 1
        if takes(stream, batch.first_seq, last):
            out.streams[key] = cover(stream, batch.first_seq, last)
            _add_rows(out, key, batch)
        else:
            out.refused += 1
            out.streams.setdefault(key, stream)
        out.touched[key] = None
    return out


def _add_rows(out: Plan, key: StreamKey, batch: Batch) -> None:
    for seq, payload in enumerate(batch.records, batch.first_seq):
        record = _read(batch.kind, payload)
        out.malformed += record is None
        if isinstance(record, Gap):
            _explain(out, key, record)
        out.rows.append(Row(key, seq, payload, record))


def _read(kind: Kind, payload: bytes) -> Record | None:
    """The record, or None where it cannot be read or does not belong to the kind."""
    try:
        record = decode_record(kind, payload)
    except RemoteError:
        return None
    belongs = isinstance(record, Result) if kind == "results" else not isinstance(record, Result)
    return record if belongs and _storable(record) else None


def _storable(record: Record) -> bool:
    """True if every database takes it: whole numbers of 64 bits, no NUL in texts (PostgreSQL refuses those)."""
    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    match record:
        case Result():
            numbers = (record.utc_ms, record.frame_no, record.part_id, record.boot_no, record.settings_rev)
            numbers += (record.part_no or 0, record.encoder or 0)
            texts = (record.source, record.recipe)
            if record.model is not None:
                texts += (record.model.name, record.model.version, record.model.sha256)
        case Evidence():
            numbers = (record.utc_ms, record.frame_no, record.part_id, record.boot_no, record.part_no or 0)
            numbers += (record.width_px << 32, record.height_px << 32)  # those two are stored in 32 bits
            texts = (record.source, record.why, record.ask_id)
        case Event():
            numbers, texts = (record.utc_ms,), (record.code, record.text)
        case Gap():
            numbers, texts = (record.utc_ms,), (record.why,)
    return min(numbers) >= -_INT64 and max(numbers) < _INT64 and "\0" not in "".join(texts)


def _explain(out: Plan, source: StreamKey, gap: Gap) -> None:
    key: StreamKey = (*source[:3], gap.kind)
    stream = out.streams.get(key, Stream())
    if not takes(stream, gap.first, gap.last):
        out.malformed += 1
        return
    out.streams[key] = cover(stream, gap.first, gap.last)
    out.gaps.append((key, gap))
    out.touched[key] = None
