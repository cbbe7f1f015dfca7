"""Every event and effect survives a trace, and nothing that calls itself one does harm."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InputError
from edge.events import AgentEffect, Happening, Tick
from edge.trace import codec, frames
from edge.trace.codec import pack, pack_row, pack_rows, unpack, unpack_rows
from edge.trace.head import End
from tests.trace.things import any_of, line, read, recorded

EVENTS, EFFECTS = get_args(Happening), get_args(AgentEffect)


@pytest.mark.parametrize("kind", [*EVENTS, *EFFECTS], ids=lambda kind: kind.__name__)
def test_every_event_and_effect_comes_back_as_it_was(kind: type):
    @settings(max_examples=25, deadline=None)
    @given(any_of(kind))
    def comes_back(thing):
        again = unpack(kind.__name__, pack(thing))
        assert type(again) is kind
        assert again == thing

    comes_back()


def test_every_kind_is_known_by_one_name():
    assert len(codec.HAPPENINGS) == len(EVENTS) == 23
    assert len(codec.EFFECTS) == len(EFFECTS) == 18
    assert not codec.HAPPENINGS.keys() & codec.EFFECTS.keys()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(any_of(int), any_of(Happening), st.lists(any_of(AgentEffect), max_size=3)), max_size=4))
def test_rows_come_back_in_order(rows):
    again = unpack_rows(pack_rows([pack_row(*row) for row in rows]))
    assert [(row.t_ns, row.what) for row in again] == [(t_ns, what) for t_ns, what, _ in rows]
    effects = [[unpack(*effect) for effect in row.effects] for row in again]
    assert effects == [made for _, _, made in rows]


def test_numbers_of_numpy_are_numbers():
    import numpy as np

    from edge.events import SetRate

    assert unpack("SetRate", pack(SetRate("cam", np.float64(2.5)))) == SetRate("cam", 2.5)


@pytest.mark.parametrize("name", ["Nothing", "Tick"])
def test_what_is_not_known_is_refused_in_one_line(name: str):
    with pytest.raises(InputError, match="TRACE_UNREADABLE"):
        unpack(name, b"\x91\x01")
    with pytest.raises(InputError, match="TRACE_UNREADABLE"):
        unpack_rows(b"\x91\x94\x01\xa7Nothing\x80\x90")


def test_a_trace_cut_anywhere_gives_the_rows_before():
    whole = recorded(line(0.4, 0.9))
    head, rows, reader = read(whole)
    assert reader.end == End("stopped", len(rows))
    least = len(whole) - 60
    for size in range(least, len(whole)):
        cut, some, torn = read(whole[:size])
        assert cut == head and torn.cut
        assert some in ([], rows)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_trace_is_cut_or_refused(data):
    whole = bytearray(recorded(line(0.4)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with suppress(InputError):
        read(bytes(whole))


def test_another_version_is_refused_in_one_line():
    whole = recorded(line(0.4))
    other = whole[:7] + bytes([frames.VERSION + 1]) + whole[8:]
    with pytest.raises(
        InputError, match=r"TRACE_VERSION: a.trace is a trace of version 2; this jidoka reads version 1"
    ):
        read(other)


def test_a_block_that_grows_without_bounds_is_refused():
    big = zlib.compress(b"\0" * (frames.MAX_FRAME_BYTES + 1), 9)
    bomb = struct.pack("<IIc", len(big), zlib.crc32(big, zlib.crc32(b"B")), b"B") + big
    whole = recorded([])
    start = whole[: 8 + 9 + struct.unpack("<I", whole[8:12])[0]]
    with pytest.raises(InputError, match="TRACE_UNREADABLE"):
        list(frames.Reader(io.BytesIO(start + bomb), "bomb").rows())


def test_a_row_without_effects_is_small():
    assert len(pack_row(10**15, Tick(), [])) < 20
