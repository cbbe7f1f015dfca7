"""Whatever order, repetition and batching the network makes of a stream, the ledger's arithmetic ends the same."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.core.ingest import MAX_ISLANDS, MAX_SEQ, Stream, cover, missing, plan, takes
from edge.domain import SeqRange
from edge.messages import Event, Gap, Result, encode_record
from edge.ports import Batch

ranges = st.tuples(st.integers(1, 40), st.integers(0, 8)).map(lambda pair: SeqRange(pair[0], pair[0] + pair[1]))


def covered(stream: Stream) -> set[int]:
    numbers = set(range(1, stream.upto + 1))
    for island in stream.islands:
        numbers |= set(range(island.first, island.last + 1))
    return numbers


@given(st.lists(ranges, max_size=30))
def test_covering_is_the_union_of_what_arrived(parts: list[SeqRange]) -> None:
    stream = Stream()
    truth: set[int] = set()
    for part in parts:
        before = stream.upto
        stream = cover(stream, part.first, part.last)
        truth |= set(range(part.first, part.last + 1))
        assert stream.upto >= before
    assert covered(stream) == truth
    contiguous = next(n for n in range(1, 100) if n not in truth) - 1
    assert stream.upto == contiguous
    ends = [SeqRange(1, stream.upto), *stream.islands]
    assert all(b.first > a.last + 1 for a, b in itertools.pairwise(ends))


@given(st.lists(ranges, max_size=20), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(parts: list[SeqRange], rng) -> None:
    again = parts * 2
    rng.shuffle(again)
    first, second = Stream(), Stream()
    for part in parts:
        first = cover(first, part.first, part.last)
    for part in again:
        second = cover(second, part.first, part.last)
    assert first == second


@given(st.lists(ranges, max_size=20))
def test_missing_is_what_is_neither_there_nor_beyond(parts: list[SeqRange]) -> None:
    stream = Stream()
    for part in parts:
        stream = cover(stream, part.first, part.last)
    holes = {n for hole in missing(stream) for n in range(hole.first, hole.last + 1)}
    assert holes == set(range(1, max(covered(stream), default=0) + 1)) - covered(stream)


def result(part_id: int) -> bytes:
    return encode_record(Result("pass", 1000, "cam", part_id, part_id, 1))


def batch(first: int, records: list[bytes], kind: str = "results", log: str = "log1") -> Batch:
    return Batch("s", "a", log, kind, first, records, 5)  # type: ignore[arg-type]


def test_a_gap_lets_upto_pass_over_what_never_comes() -> None:
    gap = encode_record(Gap("results", 3, 5, "evicted", 9))
    out = plan({}, [batch(1, [result(1), result(2)]), batch(6, [result(6)]), batch(1, [gap], "events")])
    assert out.streams["s", "a", "log1", "results"] == Stream(6)
    assert out.streams["s", "a", "log1", "events"] == Stream(1)
    assert [row.seq for row in out.rows] == [1, 2, 6, 1]
    assert [(key[3], gap.first, gap.last) for key, gap in out.gaps] == [("results", 3, 5)]
    assert set(out.touched) == {("s", "a", "log1", "results"), ("s", "a", "log1", "events")}


def test_a_gap_speaks_only_of_its_own_log() -> None:
    gap = encode_record(Gap("results", 1, 5, "evicted", 9))
    out = plan({}, [batch(6, [result(6)]), batch(1, [gap], "events", log="other")])
    assert out.streams["s", "a", "log1", "results"].upto == 0


def test_what_cannot_be_read_is_kept_and_covered_so_that_nobody_waits_for_ever() -> None:
    event = encode_record(Event("X_Y", "info", 1))
    out = plan({}, [batch(1, [b'{"t":"result"}', event, b'{"t":"new"}', result(4)])])
    assert out.malformed == 3
    assert [row.record is None for row in out.rows] == [True, True, True, False]
    assert out.streams["s", "a", "log1", "results"] == Stream(4)


def test_senseless_numbers_are_not_taken() -> None:
    nonsense = encode_record(Gap("results", 9, 3, "x", 1))
    out = plan({}, [batch(MAX_SEQ, [result(1), result(2)]), batch(1, [nonsense], "events")])
    assert (out.refused, out.malformed) == (1, 1)
    assert out.streams["s", "a", "log1", "results"] == Stream(0)
    assert not out.gaps


def test_a_stream_does_not_fall_into_too_many_pieces() -> None:
    stream = Stream()
    for n in range(MAX_ISLANDS):
        assert takes(stream, 3 + 2 * n, 3 + 2 * n)
        stream = cover(stream, 3 + 2 * n, 3 + 2 * n)
    beyond = 3 + 2 * MAX_ISLANDS
    assert not takes(stream, beyond, beyond)
    assert takes(stream, 1, 2)


chunks = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 6)), min_size=1, max_size=25)


@given(chunks, st.randoms(use_true_random=False))
def test_batches_in_any_order_end_at_the_same_place_with_no_row_twice(parts: list[tuple[int, int]], rng) -> None:
    batches = [batch(first, [result(n) for n in range(first, first + n)]) for first, n in parts]
    shuffled = batches * 2
    rng.shuffle(shuffled)
    one = plan({}, batches)
    step: dict = {}
    rows = set()
    for item in shuffled:  # one transaction each, against all in one
        out = plan(step, [item])
        step = out.streams
        rows |= {(row.key, row.seq, row.payload) for row in out.rows}
    assert step == one.streams
    assert rows == {(row.key, row.seq, row.payload) for row in one.rows}
    assert len({(key, seq) for key, seq, _ in rows}) == len(rows)
