"""What every journal promises: one set of tests for the real one and for its twin of virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain import KINDS, Kind, SeqRange
from edge.shell.journal import Journal
from sims.memory import MemoryJournal

SEGMENT = 16 * 1024
SMALL = 1024 * 1024
"""The smallest bound a journal takes."""

Told = list[tuple[Any, ...]]


class Bench:
    """Opens journals of one make and keeps what they tell."""

    def __init__(self, make: str, folder: Path) -> None:
        self.make, self.folder = make, folder
        self.told: Told = []
        self._opened: list[Journal | MemoryJournal] = []

    def open(self, **options: Any) -> Journal | MemoryJournal:
        callbacks: dict[str, Any] = {
            "on_committed": lambda kind, upto: self.told.append(("committed", kind, upto)),
            "on_evicted": lambda kind, seqs, why: self.told.append(("evicted", kind, seqs, why)),
            "on_full": lambda full: self.told.append(("full", full)),
        }
        journal: Journal | MemoryJournal
        if self.make == "real":
            folder = self.folder / f"{len(self._opened)}"
            journal = Journal(folder, segment_bytes=SEGMENT, **callbacks, **options)
        else:
            journal = MemoryJournal("0123456789abcdef", segment_bytes=SEGMENT, **callbacks, **options)
        self._opened.append(journal)
        return journal

    def of(self, what: str) -> Told:
        return [entry[1:] for entry in self.told if entry[0] == what]

    def close(self) -> None:
        for journal in self._opened:
            journal.close()


@pytest.fixture(params=["real", "twin"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    one = Bench(request.param, tmp_path)
    yield one
    one.close()


def fill(journal: Journal | MemoryJournal, kind: Kind, n: int, size: int = 1000) -> list[int]:
    """Append ``n`` records, committing now and then, as the queue is bounded."""
    seqs = []
    for i in range(n):
        seqs.append(journal.append(kind, i.to_bytes(4) + bytes(size - 4)))
        if i % 20 == 19:
            assert journal.flush()
    assert journal.flush()
    return seqs


def test_a_new_journal_is_empty_and_has_a_random_log(bench: Bench) -> None:
    journal = bench.open()
    assert len(journal.log) == 16
    assert int(journal.log, 16) >= 0
    for heads in journal.heads().values():
        assert (heads.last, heads.acked, heads.first) == (0, 0, 1)
    assert journal.read("results", 1, 10, 1000) == []


def test_each_kind_counts_for_itself_from_one(bench: Bench) -> None:
    journal = bench.open()
    for kind in KINDS:
        assert [journal.append(kind, kind.encode()) for _ in range(3)] == [1, 2, 3]
    assert journal.flush()
    for kind in KINDS:
        assert journal.read(kind, 1, 10, 1000) == [(n, kind.encode()) for n in (1, 2, 3)]
    assert {(kind, 3) for kind in KINDS} <= {*bench.of("committed")}


def test_commit_callbacks_rise(bench: Bench) -> None:
    journal = bench.open()
    fill(journal, "events", 100, 10)
    upto = [n for _, n in bench.of("committed")]
    assert upto == sorted(upto)
    assert upto[-1] == 100


def test_reading_is_bounded_in_number_and_bytes(bench: Bench) -> None:
    journal = bench.open()
    fill(journal, "results", 10, 100)
    assert [n for n, _ in journal.read("results", 4, 3, 10_000)] == [4, 5, 6]
    assert [n for n, _ in journal.read("results", 4, 99, 250)] == [4, 5]
    assert [n for n, _ in journal.read("results", 4, 99, 300)] == [4, 5, 6]
    assert [n for n, _ in journal.read("results", 4, 99, 1)] == [4], "at least one, however large"
    assert [n for n, _ in journal.read("results", 9, 99, 10_000)] == [9, 10]
    assert journal.read("results", 11, 99, 10_000) == []


def test_reading_goes_across_segments(bench: Bench) -> None:
    journal = bench.open()
    fill(journal, "results", 100)
    got = journal.read("results", 1, 1000, 10**9)
    assert [n for n, _ in got] == list(range(1, 101))
    assert all(payload[:4] == (n - 1).to_bytes(4) for n, payload in got)


def test_a_record_may_be_larger_than_a_segment_and_may_be_empty(bench: Bench) -> None:
    journal = bench.open()
    large = bytes(range(256)) * 200
    for payload in (b"", large, b"", large, large):
        assert journal.append("evidence", payload)
    assert journal.flush()
    assert [p for _, p in journal.read("evidence", 1, 9, 10**9)] == [b"", large, b"", large, large]


def test_what_is_acknowledged_is_freed(bench: Bench) -> None:
    journal = bench.open()
    fill(journal, "results", 100)
    held = journal.heads()["results"].bytes_held
    journal.free("results", 90)
    assert journal.flush()
    heads = journal.heads()["results"]
    assert (heads.last, heads.acked, heads.first) == (100, 90, 91)
    assert heads.bytes_held < held / 3
    assert [n for n, _ in journal.read("results", 91, 99, 10**9)] == list(range(91, 101))
    assert bench.of("evicted") == []


def test_an_acknowledgement_never_goes_back_nor_beyond_the_end(bench: Bench) -> None:
    journal = bench.open()
    fill(journal, "results", 30, 1000)
    journal.free("results", 20)
    journal.free("results", 10)
    assert journal.flush()
    assert journal.heads()["results"].acked == 20
    journal.free("results", 1000)
    assert journal.flush()
    heads = journal.heads()["results"]
    assert (heads.acked, heads.first, heads.last) == (30, 31, 30)
    assert journal.append("results", b"next") == 31


def test_evidence_gives_way_first_and_oldest_first(bench: Bench) -> None:
    journal = bench.open(max_bytes=SMALL)
    fill(journal, "results", 300)
    fill(journal, "evidence", 1500)
    fill(journal, "results", 300)
    assert {kind for kind, _, _ in bench.of("evicted")} == {"evidence"}
    ranges = [seqs for _, seqs, _ in bench.of("evicted")]
    assert ranges[0].first == 1
    assert all(a.last + 1 == b.first for a, b in pairwise(ranges))
    heads = journal.heads()
    assert heads["evidence"].first == ranges[-1].last + 1
    assert heads["results"].first == 1
    assert sum(h.bytes_held for h in heads.values()) <= SMALL + SEGMENT


def test_then_the_larger_of_results_and_events(bench: Bench) -> None:
    journal = bench.open(max_bytes=SMALL)
    fill(journal, "events", 50)
    fill(journal, "results", 2000)
    evicted = bench.of("evicted")
    assert {kind for kind, _, _ in evicted} == {"results"}
    assert {why for _, _, why in evicted} == {"evicted"}
    heads = journal.heads()
    assert heads["events"].first == 1
    assert heads["results"].first == evicted[-1][1].last + 1
    assert sum(h.bytes_held for h in heads.values()) <= SMALL + SEGMENT


def test_reading_what_was_evicted_gives_what_is_left(bench: Bench) -> None:
    journal = bench.open(max_bytes=SMALL)
    fill(journal, "results", 2000)
    first = journal.heads()["results"].first
    assert first > 1
    assert journal.read("results", 1, 1, 10**6)[0][0] == first


def test_what_was_acknowledged_is_not_told_as_evicted(bench: Bench) -> None:
    journal = bench.open(max_bytes=SMALL)
    fill(journal, "results", 500)
    journal.free("results", 498)
    fill(journal, "results", 1200)
    told = [seqs for _, seqs, _ in bench.of("evicted")]
    assert told[0] == SeqRange(499, told[0].last)


def test_stop_line_refuses_instead_and_tells(bench: Bench) -> None:
    journal = bench.open(max_bytes=SMALL, critical_full="stop_line")
    fill(journal, "evidence", 500)
    seqs = fill(journal, "results", 2000)
    taken = [n for n in seqs if n]
    assert taken == list(range(1, len(taken) + 1))
    assert 0 in seqs
    assert bench.of("full") == [(True,)]
    assert {kind for kind, _, _ in bench.of("evicted")} == {"evidence"}
    assert journal.append("evidence", b"no") == 0
    assert journal.counters()["refused_full"] == seqs.count(0) + 1
    assert sum(h.bytes_held for h in journal.heads().values()) <= SMALL + SEGMENT
    journal.free("results", taken[-1])
    assert journal.flush()
    assert bench.of("full") == [(True,), (False,)]
    assert journal.append("results", b"again") == taken[-1] + 1


def test_too_large_is_refused_and_counted(bench: Bench) -> None:
    journal = bench.open(max_bytes=SMALL)
    assert journal.append("events", bytes(SMALL // 8)) == 0
    assert journal.append("events", b"x") == 1
    assert journal.counters()["refused_too_large"] == journal.counters()["refused_events"] == 1


def test_closed_it_takes_nothing_and_closing_twice_is_harmless(bench: Bench) -> None:
    journal = bench.open()
    assert journal.append("results", b"last words") == 1
    journal.close()
    journal.close()
    assert ("results", 1) in bench.of("committed")
    assert journal.append("results", b"too late") == 0


def test_small_values_are_kept_and_counted_up(bench: Bench) -> None:
    journal = bench.open()
    assert journal.get("desired") is None
    journal.put("desired", b"\x00{}")
    assert journal.get("desired") == b"\x00{}"
    assert [journal.bump("boot_no"), journal.bump("boot_no"), journal.bump("conn_no")] == [1, 2, 1]


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from(KINDS), st.integers(0, 3000)),
        st.tuples(st.just("free"), st.sampled_from(KINDS), st.integers(0, 60)),
        st.tuples(st.just("flush"), st.just("events"), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(ACTS)
def test_the_two_agree_whatever_is_done(acts: list[tuple[str, Kind, int]]) -> None:
    with TemporaryDirectory() as folder:
        real, twin = (carried_out(Bench(make, Path(folder)), acts) for make in ("real", "twin"))
    assert real == twin


def carried_out(bench: Bench, acts: list[tuple[str, Kind, int]]) -> tuple[Any, ...]:
    journal = bench.open()
    seqs = []
    for act, kind, n in acts:
        if act == "append":
            seqs.append(journal.append(kind, bytes([n % 251]) * n))
            continue
        # Only what is committed can be acknowledged, so both must have committed the same.
        assert journal.flush()
        if act == "free":
            journal.free(kind, n)
            assert journal.flush()
    assert journal.flush()
    heads = journal.heads()
    read = {kind: journal.read(kind, heads[kind].first, 1000, 10**9) for kind in KINDS}
    places = {kind: (h.last, h.acked, h.first, h.bytes_held) for kind, h in heads.items()}
    bench.close()
    return seqs, places, read, bench.of("evicted")
