"""Records and signatures: what goes in comes out, and what others made up is refused."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain import Finding, ModelRef, Reason
from edge.errors import RemoteError
from edge.messages import (
    Ask,
    Desired,
    Event,
    Evidence,
    Gap,
    Latency,
    Result,
    decode_record,
    encode_record,
    mac_of,
    mac_ok,
)

INTS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(INTS, FLOATS, st.booleans(), TEXT)
FINDINGS = st.builds(
    Finding, TEXT, FLOATS, st.tuples(FLOATS, FLOATS, FLOATS, FLOATS), FLOATS, st.none() | FLOATS, st.none() | TEXT
)
RESULTS = st.builds(
    Result,
    decision=st.sampled_from(["pass", "fail", "unsure", "none"]),
    utc_ms=INTS,
    source=TEXT,
    frame_no=INTS,
    part_id=INTS,
    boot_no=INTS,
    part_no=st.none() | INTS,
    encoder=st.none() | INTS,
    reasons=st.lists(st.builds(Reason, TEXT, TEXT, FLOATS, FLOATS), max_size=3).map(tuple),
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
    model=st.none() | st.builds(ModelRef, TEXT, TEXT, TEXT),
    recipe=TEXT,
    settings_rev=INTS,
    latency_ms=st.builds(Latency, FLOATS, FLOATS, FLOATS, FLOATS, FLOATS, FLOATS),
    clock_trusted=st.booleans(),
)
EVENTS = st.builds(
    Event, TEXT, st.sampled_from(["info", "warning", "alarm"]), INTS, TEXT, st.dictionaries(TEXT, SCALARS, max_size=3)
)
GAPS = st.builds(Gap, st.sampled_from(["results", "events", "evidence"]), INTS, INTS, TEXT, INTS)
PICTURES = st.builds(Evidence, TEXT, INTS, INTS, TEXT, st.binary(max_size=60), INTS, INTS, st.none() | INTS)


@given(st.one_of(RESULTS, EVENTS, GAPS))
def test_records_go_round_as_json(record) -> None:
    payload = encode_record(record)
    assert b"\n" not in payload
    assert decode_record("results", payload) == record


@given(PICTURES)
def test_pictures_go_round_as_msgpack(record) -> None:
    assert decode_record("evidence", encode_record(record)) == record


@given(st.sampled_from(["results", "events", "evidence"]), st.binary(max_size=300))
def test_any_bytes_give_a_record_or_our_error(kind, data) -> None:
    with suppress(RemoteError):
        assert isinstance(decode_record(kind, data), Result | Event | Gap | Evidence)


@given(RESULTS, st.data())
def test_a_flipped_byte_gives_a_record_or_our_error(record, data) -> None:
    good = encode_record(record)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    with suppress(RemoteError):
        assert isinstance(decode_record("results", bad), Result | Event | Gap)


@pytest.mark.parametrize("data", [b"[" * 50_000, b'{"t":"result"}', b'{"t":"alien"}', b"null", b"\x91" * 50_000])
@pytest.mark.parametrize("kind", ["results", "events", "evidence"])
def test_nonsense_is_refused(kind, data) -> None:
    with pytest.raises(RemoteError, match="RECORD_MALFORMED"):
        decode_record(kind, data)


def test_results_are_readable_by_anyone() -> None:
    text = encode_record(Result("fail", 1, "camera", 2, 3, 4, part_no=5, reasons=(Reason("found", "pit"),))).decode()
    assert text == (
        '{"t":"result","decision":"fail","utc_ms":1,"source":"camera","frame_no":2,"part_id":3,"boot_no":4,'
        '"part_no":5,"reasons":[{"rule":"found","label":"pit"}]}'
    )


SIGNED = st.one_of(
    st.builds(Desired, TEXT, INTS, st.dictionaries(TEXT, SCALARS, max_size=3)),
    st.builds(Ask, TEXT, TEXT, TEXT, FLOATS, st.dictionaries(TEXT, SCALARS, max_size=3)),
)
KEYS = st.binary(min_size=16, max_size=32)


def signed(key: bytes, site: str, agent: str, message):
    return msgspec.structs.replace(message, mac=mac_of(key, site, agent, message))


@given(KEYS, TEXT, TEXT, SIGNED)
def test_what_is_signed_is_accepted_also_after_the_wire(key, site, agent, message) -> None:
    made = signed(key, site, agent, message)
    assert mac_ok(key, site, agent, made)
    came = msgspec.json.decode(msgspec.json.encode(made), type=type(made))
    assert mac_ok(key, site, agent, came)


@given(KEYS, SIGNED, KEYS)
def test_another_key_agent_or_site_is_not(key, message, other) -> None:
    made = signed(key, "site", "agent", message)
    assert not mac_ok(key, "site", "other", made)
    assert not mac_ok(key, "other", "agent", made)
    assert mac_ok(other, "site", "agent", made) == (other == key)


@given(KEYS, SIGNED, SCALARS)
def test_a_changed_message_is_not(key, message, value) -> None:
    made = signed(key, "site", "agent", message)
    field = "settings" if isinstance(made, Desired) else "args"
    changed = msgspec.structs.replace(made, **{field: {**getattr(made, field), "added-by-somebody": value}})
    assert not mac_ok(key, "site", "agent", changed)


@pytest.mark.parametrize("mac", ["", "0" * 64, "é", "x" * 10_000])
def test_a_mac_that_is_none(mac) -> None:
    assert not mac_ok(b"k" * 16, "s", "a", Ask("q", "a", "ping", mac=mac))


def test_an_ask_is_not_a_desired() -> None:
    """The tag is signed too: fields of one type never speak as the other."""
    assert mac_of(b"k", "s", "a", Ask("x", "y", "z")) != mac_of(b"k", "s", "a", Desired("x", 1))
