"""The table of topics: limits, round trips, and bytes from anyone."""

from __future__ import annotations

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain import KINDS, ModelRef, is_id
from edge.errors import RemoteError
from edge.messages import Ack, Ask, Desired, Envelope, Event, Evidence, Metrics, Reply, Reported, State, encode_record
from edge.topics import (
    BY_KIND,
    LEVELS,
    MAX_PACKET_BYTES,
    MAX_RECORD_BYTES,
    ROOT,
    TABLE,
    WINDOW_BYTES,
    WINDOW_RECORDS,
    decode,
    encode,
    envelope,
    filters,
    parse,
    topic,
)

IDS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", fullmatch=True)
ROWS = st.sampled_from(TABLE)
EXAMPLES = {
    "state": State("online", "l", 1, 2, ready=True, model=ModelRef("m", "1.0.0", "0" * 64), devices={"plc": "up"}),
    "metrics": Metrics(1, 1, {"parts": 4}, {"cpu_share": 0.5}),
    "reported": Reported("led", 3, ok=False, code="X_Y", settings={"a": 1}),
    "reply": Reply("q", ok=True, body={"n": 1, "s": "x", "b": True}),
    "desired": Desired("led", 3, {"max_fps": 2.5}),
    "ask": Ask("q", "cell", "ping"),
    "ack": Ack("led", "l", {"results": 3, "events": 0}),
}


def event(text: str = "x") -> bytes:
    return encode_record(Event("SOME_CODE", "info", 1, text))


@given(IDS, IDS, ROWS)
def test_topics_come_apart_as_they_were_put_together(site, agent, row) -> None:
    assert parse(topic(site, agent, row.kind)) == (site, agent, row.kind)


@given(
    st.one_of(st.text(max_size=200), st.lists(st.sampled_from([ROOT, "a", "", "+", "#", "state", "x/y"])).map("/".join))
)
def test_any_topic_is_ours_or_refused(text) -> None:
    with suppress(RemoteError):
        address = parse(text)
        assert text == topic(*address)
        assert is_id(address.site)
        assert is_id(address.agent)


@pytest.mark.parametrize(
    "text",
    [
        "jidoka/v1/s/a/nothing", "jidoka/v2/s/a/state", "jidoka/v1/s/a", "jidoka/v1/s/a/state/x", "jidoka/v1//a/state",
        "jidoka/v1/s/+/state", "jidoka/v1/s/a b/state", "/jidoka/v1/s/a/state", "jidoka/v1/s/" + "a" * 65 + "/state",
        "$share/g/jidoka/v1/s/a/state", "jidoka/v1/s/.a/state", "",
    ],
)  # fmt: skip
def test_foreign_topics(text) -> None:
    with pytest.raises(RemoteError, match="TOPIC_FOREIGN"):
        parse(text)


@given(ROWS, st.binary(max_size=400))
def test_any_bytes_give_a_message_or_our_error(row, data) -> None:
    with suppress(RemoteError):
        assert isinstance(decode(row.kind, data), row.message)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=10,
)
FIELDS = st.sampled_from(sorted({name for row in TABLE for name in row.message.__struct_fields__} | {"t"}))


@given(ROWS, st.dictionaries(FIELDS, JSON, max_size=12))
def test_any_values_under_our_names_give_a_message_or_our_error(row, values) -> None:
    encoder = msgspec.json if row.codec == "json" else msgspec.msgpack
    try:
        payload = encoder.encode({"t": row.kind, "v": 1, **values})
    except (OverflowError, msgspec.MsgspecError):
        return  # integers beyond 64 bits have no msgpack
    with suppress(RemoteError):
        assert isinstance(decode(row.kind, payload), row.message)


@given(ROWS, st.data())
def test_a_flipped_byte_gives_a_message_or_our_error(row, data) -> None:
    good = _payload(row.kind)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    with suppress(RemoteError):
        assert isinstance(decode(row.kind, bad), row.message)


def _payload(kind: str) -> bytes:
    if kind not in KINDS:
        return encode(kind, EXAMPLES[kind])
    record = Evidence("camera", 1, 1, "fail", b"\xff\xd8") if kind == "evidence" else Event("SOME_CODE", "info", 1)
    return envelope("log", kind, 1, [encode_record(record)], 1)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.kind)
def test_every_kind_goes_round(row) -> None:
    payload = _payload(row.kind)
    message = decode(row.kind, payload)
    assert isinstance(message, row.message)
    if row.kind in EXAMPLES:
        assert message == EXAMPLES[row.kind]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.kind)
@pytest.mark.parametrize("data", [b"[" * 100_000, b"\x91" * 100_000, b"{" * 5000, b"", b"null", b"\xc0", b"\xff" * 9])
def test_nesting_and_nothing(row, data) -> None:
    if len(data) > row.max_bytes:
        data = data[: row.max_bytes]
    with pytest.raises(RemoteError):
        decode(row.kind, data)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.kind)
def test_a_byte_too_many_is_refused_before_it_is_read(row) -> None:
    with pytest.raises(RemoteError, match="MESSAGE_TOO_LARGE"):
        decode(row.kind, b" " * (row.max_bytes + 1))


def test_nothing_too_large_is_sent() -> None:
    with pytest.raises(RemoteError, match="MESSAGE_TOO_LARGE"):
        encode("ack", Ack("x" * 5000, "l", {}))


def test_a_field_of_a_newer_sender_is_ignored() -> None:
    payload = json.dumps({"t": "ack", "ledger": "a", "log": "b", "upto": {}, "added_later": [1, 2]}).encode()
    assert decode("ack", payload) == Ack("a", "b", {})


def test_another_version_is_refused() -> None:
    payload = json.dumps({"t": "ack", "v": 2, "ledger": "a", "log": "b", "upto": {}}).encode()
    with pytest.raises(RemoteError, match="MESSAGE_VERSION"):
        decode("ack", payload)


@given(
    st.sampled_from(["results", "events"]),
    st.integers(1, 2**53),
    st.lists(st.text(max_size=20), min_size=1, max_size=20),
)
def test_records_travel_as_they_are(kind, first, texts) -> None:
    records = [event(text) for text in texts]
    message = decode(kind, envelope("log", kind, first, records, 5))
    assert isinstance(message, Envelope)
    assert (message.first_seq, message.n) == (first, len(records))
    assert [bytes(raw) for raw in message.body] == records


def _tampered(**change: object) -> bytes:
    good = {"v": 1, "log": "l", "kind": "events", "first_seq": 1, "n": 1, "sent_utc_ms": 1}
    return json.dumps({**good, "body": [json.loads(event())], **change}).encode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "results"}, "MESSAGE_MALFORMED"),
        ({"kind": "state"}, "MESSAGE_MALFORMED"),
        ({"n": 2}, "MESSAGE_MALFORMED"),
        ({"n": 0, "body": []}, "MESSAGE_MALFORMED"),
        ({"n": 257, "body": [1] * (WINDOW_RECORDS + 1)}, "MESSAGE_MALFORMED"),
        ({"first_seq": 0}, "MESSAGE_MALFORMED"),
        ({"first_seq": -5}, "MESSAGE_MALFORMED"),
        ({"log": "a/b"}, "MESSAGE_MALFORMED"),
        ({"log": ""}, "MESSAGE_MALFORMED"),
        ({"v": 9}, "MESSAGE_VERSION"),
        ({"body": ["x" * (MAX_RECORD_BYTES["events"] + 1)]}, "RECORD_TOO_LARGE"),
    ],
)
def test_envelopes_that_contradict_themselves(change, code) -> None:
    with pytest.raises(RemoteError, match=code):
        decode("events", _tampered(**change))


def test_the_untampered_one_is_taken() -> None:
    assert isinstance(decode("events", _tampered()), Envelope)


def test_a_full_window_fits_its_message() -> None:
    for kind in ("results", "events"):
        size = WINDOW_BYTES // WINDOW_RECORDS
        records = [event("x" * (size - len(event("x")) + 1))] * WINDOW_RECORDS
        assert sum(map(len, records)) == WINDOW_BYTES
        assert decode(kind, envelope("l" * 64, kind, 2**62, records, 2**62)).n == WINDOW_RECORDS


def test_everything_fits_the_packet_that_is_announced() -> None:
    longest = LEVELS * 64
    assert all(row.max_bytes + longest + 100 <= MAX_PACKET_BYTES for row in TABLE)


def test_one_row_a_kind() -> None:
    assert len(BY_KIND) == len(TABLE)
    assert all(row.qos in {0, 1} for row in TABLE)


def test_filters_name_each_kind_of_a_sender() -> None:
    assert "jidoka/v1/north/+/results" in filters("north", "agent")
    assert filters("north", "coordinator", "cell") == [f"jidoka/v1/north/cell/{k}" for k in ("desired", "ask", "ack")]
