"""Any value of any event or effect, from its annotations; and a line of a few parts, recorded in memory."""

from __future__ import annotations

import io
import random
import types
import typing
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Raw, Struct

from edge.core.agent import AgentCore
from edge.core.dialogue import Boot
from edge.core.policy import LabelRule, ThresholdOptions, ThresholdPolicy
from edge.core.settings import MS, Settings
from edge.domain import KINDS, Applied, Finding, FrameRef, Inference, Reading
from edge.events import ClockSet, Committed, Connected, DeviceChanged, Happening, Inferred, Polled, SourceChanged, Tick
from edge.trace.codec import Row, TraceSink
from edge.trace.frames import Reader
from edge.trace.head import Head, head_of
from edge.trace.step import advance
from sims.trace_file import TraceFile
from tests.core.bench import heads, settings

FLOATS = st.floats(allow_nan=False)
PLAIN: dict[Any, Any] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: FLOATS,
    str: st.text(max_size=12),
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    type(None): st.none(),
    Raw: st.sampled_from([b"{}", b'{"t":"gap"}', b"\xa7\x00"]).map(Raw),
}


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """A strategy for an annotation."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, Struct):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{name: any_of(hints[name]) for name in kind.__struct_fields__})
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return st.sampled_from(args)
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(*map(any_of, args))
    if origin is dict:
        return st.dictionaries(any_of(args[0]), any_of(args[1]), max_size=3)
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(any_of(args[0]), max_size=3).map(tuple)
    assert origin is tuple, kind
    return st.tuples(*map(any_of, args))


def boot(**values: Any) -> Boot:
    base: dict[str, Any] = {"log": "log1", "boot_no": 1, "conn_no": 0, "heads": dict.fromkeys(KINDS, heads())}
    return Boot(**{**base, "linked": True, **values})


def policy(score: float = 0.5, **more: Any) -> ThresholdOptions:
    return ThresholdOptions(labels={"scratch": LabelRule(min_score=score)}, **more)


def inferred(part_id: int, now_ns: int, score: float, text: str = "") -> Inferred:
    found = Finding("scratch", score, (0.0, 0.0, 9.0, 9.0), 81.0, text=text)
    return Inferred(FrameRef("cam", part_id, now_ns), part_id, Inference((found,)), "surface", now_ns)


def line(*scores: float, text: str = "") -> list[tuple[int, Happening]]:
    """A part every 500 ms, each with one scratch of this score, with all the small events around it."""
    t_ns = 1_000 * MS
    rows: list[tuple[int, Happening]] = [
        (t_ns, SourceChanged("cam", up=True)),
        (t_ns, DeviceChanged("plc", up=True)),
        (t_ns, Polled(Reading("plc", t_ns, {"part_no": 7, "encoder": 0, "encoder_latched": 0, "result_ack": 7}))),
        (t_ns + MS, Connected(1)),
    ]
    for i, score in enumerate(scores, 1):
        t_ns += 500 * MS
        values: dict[str, Any] = {"part_no": 7 + i, "encoder": i, "encoder_latched": i, "result_ack": 6 + i}
        rows += [
            (t_ns, Polled(Reading("plc", t_ns, values | ({"lot": text} if text else {})))),
            (t_ns + 5 * MS, Tick()),
            (t_ns + 20 * MS, inferred(i, t_ns + 10 * MS, score, text)),
            (t_ns + 22 * MS, Applied(i, "plc", ok=True, at_ns=t_ns + 21 * MS)),
            (t_ns + 30 * MS, Committed("results", i)),
            (t_ns + 105 * MS, Tick()),
        ]
    return rows


def run(core: AgentCore, rows: list[tuple[int, Happening]], sink: TraceSink) -> None:
    """What the daemon does with a core and its recorder."""
    for t_ns, what in rows:
        sink.keep(t_ns, what, advance(core, t_ns, what))


def recorded(rows: list[tuple[int, Happening]], told: Settings | None = None, booted: Boot | None = None) -> bytes:
    """A whole trace: the clock is set, the core started, then ``rows`` come."""
    from edge.events import Started

    told, booted = told or settings(policies={"default": policy()}), booted or boot()
    head = head_of(told, {"default": "threshold"}, booted, 5)
    file = io.BytesIO()
    trace = TraceFile(file, head)
    core = AgentCore(told, booted, {"default": ThresholdPolicy}, random.Random(5))
    begin: list[tuple[int, Happening]] = [(900 * MS, ClockSet(10**18, trusted=True)), (901 * MS, Started())]
    run(core, [*begin, *rows], trace)
    trace.finish()
    return file.getvalue()


def read(data: bytes) -> tuple[Head, list[Row], Reader]:
    reader = Reader(io.BytesIO(data), "a.trace")
    return reader.head, list(reader.rows()), reader


def unpacked(data: bytes) -> bytes:
    """Everything that stands in a trace, as one text to search in."""
    head, rows, _ = read(data)
    return repr(msgspec.to_builtins(head, builtin_types=(bytes,))).encode() + repr(rows).encode()
