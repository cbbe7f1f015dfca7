"""Opening a journal after anything: kills, torn tails, damage, a lost index."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain import KINDS, Kind, SeqRange
from edge.shell.journal import Journal
from edge.shell.journal_recovery import SKIP_AFTER_DAMAGE

SEGMENT = 4096
PARTS = ("lock", "results", "events", "evidence", "index.sqlite", "kv.seg", "reserve")


class Opened:
    """A journal that was opened, with what it told."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.lost: list[tuple[Kind, SeqRange, str]] = []
        self.journal = Journal(folder, segment_bytes=SEGMENT, on_evicted=self._note, **options)

    def _note(self, kind: Kind, seqs: SeqRange, why: str) -> None:
        self.lost.append((kind, seqs, why))

    def numbers(self, kind: Kind) -> list[int]:
        """All records that can be read, hole by hole, each with the content it must have."""
        out: list[int] = []
        while got := self.journal.read(kind, out[-1] + 1 if out else 1, 1000, 10**9):
            assert all(payload == content(kind, n) for n, payload in got)
            out += [n for n, _ in got]
        assert self.journal.flush()
        return out

    def lost_numbers(self, kind: Kind) -> set[int]:
        return {n for k, seqs, _ in self.lost if k == kind for n in range(seqs.first, seqs.last + 1)}


def content(kind: Kind, seq: int) -> bytes:
    return f"{kind} {seq} ".encode() * (1 + seq % 7)


@contextmanager
def opened(folder: Path, **options: Any) -> Iterator[Opened]:
    one = Opened(folder, **options)
    try:
        assert one.journal.flush()
        yield one
    finally:
        one.journal.close()


def fill(journal: Journal, kind: Kind, n: int) -> None:
    for _ in range(n):
        seq = journal.heads()[kind].last + 1
        for at in range(seq, seq + 20):
            assert journal.append(kind, content(kind, at)) == at
        assert journal.flush()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal with several segments of results, some events, a counter, and 37 results acknowledged."""
    path = tmp_path / "journal"
    with opened(path) as one:
        fill(one.journal, "results", 15)
        fill(one.journal, "events", 2)
        one.journal.free("results", 37)
        assert one.journal.flush()
        one.journal.bump("boot_no")
    return path


def segments(folder: Path, kind: Kind = "results") -> list[Path]:
    return sorted((folder / kind).iterdir())


def test_its_folder_is_as_drawn(folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} == set(PARTS)
    assert len(segments(folder)) > 3


def test_opened_again_it_goes_on_where_it_was(folder: Path) -> None:
    with opened(folder) as one:
        one.journal.free("results", 150)
        assert one.journal.flush()
        log, heads = one.journal.log, one.journal.heads()
        # Space is given back a segment at a time, so a few acknowledged records may still be there.
        numbers = one.numbers("results")
        assert numbers == list(range(numbers[0], 301))
        assert 1 < numbers[0] <= 151
    with opened(folder) as one:
        assert (one.journal.log, one.journal.heads()) == (log, heads)
        assert one.lost == []
        assert heads["results"].last == 300
        assert heads["results"].acked == 150
        assert one.journal.append("results", content("results", 301)) == 301
        assert one.journal.bump("boot_no") == 2


def test_what_was_evicted_is_told_again_until_it_is_acknowledged(folder: Path) -> None:
    oldest = segments(folder)[0]
    oldest.unlink()
    first = int(segments(folder)[0].stem)
    for _ in range(2):
        with opened(folder) as one:
            assert one.lost == [("results", SeqRange(38, first - 1), "evicted")]
            assert one.journal.heads()["results"].first == first
    with opened(folder) as one:
        one.journal.free("results", first - 1)
    with opened(folder) as one:
        assert one.lost == []


@pytest.mark.parametrize("damage", ["absent", "noise", "empty", "cut"])
def test_a_lost_index_is_written_anew(folder: Path, damage: str) -> None:
    with opened(folder) as one:
        log, heads, numbers = one.journal.log, one.journal.heads(), one.numbers("results")
    index = folder / "index.sqlite"
    whole = index.read_bytes()
    index.unlink()
    if damage != "absent":
        index.write_bytes({"noise": os.urandom(5000), "empty": b"", "cut": whole[: len(whole) // 2]}[damage])
    with opened(folder) as one:
        again = one.journal.heads()
        assert one.journal.log == log
        assert one.lost == []
        assert one.numbers("results") == numbers
        # Only the acknowledged position is gone: everything held is sent once more.
        assert {k: (h.last, h.bytes_held) for k, h in again.items()} == {
            k: (h.last, h.bytes_held) for k, h in heads.items()
        }
        assert again["results"].first == numbers[0]
        assert one.journal.bump("boot_no") == 2


def test_numbers_are_not_used_again_when_all_was_freed_and_the_index_lost(folder: Path) -> None:
    with opened(folder) as one:
        log = one.journal.log
        one.journal.free("results", 300)
        one.journal.free("events", 40)
        assert one.journal.flush()
    with opened(folder) as one:
        assert one.journal.append("results", b"x") == 301
    for part in ("index.sqlite", "kv.seg"):
        (folder / part).unlink()
    with opened(folder) as one:
        assert one.journal.log == log
        assert one.journal.append("results", b"x") == 302
        assert one.journal.append("events", b"x") == 41


def test_a_torn_tail_is_cut_off_and_the_stream_goes_on(folder: Path) -> None:
    last = segments(folder)[-1]
    whole = last.read_bytes()
    last.write_bytes(whole + b"\xa7JR\n" + bytes(10))
    with opened(folder) as one:
        assert last.read_bytes() == whole
        assert one.lost == []
        assert one.journal.append("results", content("results", 301)) == 301
        assert one.journal.flush()
        assert one.numbers("results")[-1] == 301


def test_a_committed_record_that_is_torn_is_told_and_its_number_not_used_again(folder: Path) -> None:
    last = segments(folder)[-1]
    os.truncate(last, last.stat().st_size - 1)
    with opened(folder) as one:
        assert one.lost == [("results", SeqRange(300, 300), "corrupt")]
        assert one.journal.append("results", content("results", 301)) == 301
        assert one.journal.flush()
        assert one.numbers("results")[-2:] == [299, 301]
    with opened(folder) as one:
        assert one.journal.append("results", content("results", 302)) == 302


def test_torn_with_the_index_lost_numbers_are_passed_over(folder: Path) -> None:
    last = segments(folder)[-1]
    os.truncate(last, last.stat().st_size - 1)
    (folder / "index.sqlite").unlink()
    with opened(folder) as one:
        assert one.lost == [("results", SeqRange(300, 299 + SKIP_AFTER_DAMAGE), "corrupt")]
        assert one.journal.append("results", b"x") == 300 + SKIP_AFTER_DAMAGE


def test_damage_in_the_middle_is_skipped_and_told_when_it_is_read(folder: Path) -> None:
    middle = segments(folder)[1]
    data = bytearray(middle.read_bytes())
    data[len(data) // 2] ^= 0xFF
    middle.write_bytes(data)
    with opened(folder) as one:
        assert one.lost == []
        numbers = one.numbers("results")
        assert len(one.lost) == 1
        assert one.lost[0][2] == "corrupt"
        assert set(numbers) | one.lost_numbers("results") == set(range(numbers[0], 301))
        assert len(one.lost_numbers("results")) == 1


@pytest.mark.parametrize("how", ["gone", "zeros", "shorter"])
def test_a_ruined_segment_costs_its_own_records_only(folder: Path, how: str) -> None:
    _, victim, after, *_ = segments(folder)
    size = victim.stat().st_size
    if how == "gone":
        victim.unlink()
    else:
        victim.write_bytes(bytes(size if how == "zeros" else size - 100))
    with opened(folder) as one:
        numbers = one.numbers("results")
        assert one.lost == [("results", SeqRange(int(victim.stem), int(after.stem) - 1), "corrupt")]
        assert set(numbers) | one.lost_numbers("results") >= set(range(38, 301))


def test_records_damaged_while_it_runs_are_never_given_out(folder: Path) -> None:
    with opened(folder) as one:
        fill(one.journal, "events", 1)
        last = segments(folder, "events")[-1]
        with last.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\0")
        assert one.numbers("events") == list(range(1, 60))
        assert one.lost == [("events", SeqRange(60, 60), "corrupt")]
        assert one.journal.append("events", content("events", 61)) == 61
        assert one.journal.flush()
        assert one.numbers("events")[-2:] == [59, 61]


def test_a_segment_of_another_journal_is_no_record_of_this_one(folder: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "other") as other:
        fill(other.journal, "results", 15)
    foreign = segments(tmp_path / "other")[1]
    victim = next(p for p in segments(folder) if p.name == foreign.name)
    shutil.copy(foreign, victim)
    (folder / "index.sqlite").unlink()
    with opened(folder) as one:
        assert one.lost[0][:2] == ("results", SeqRange(int(victim.stem), one.lost[0][1].last))
        assert int(victim.stem) not in one.numbers("results")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_after_any_damage_what_is_read_is_right_and_the_rest_is_told(data: st.DataObject) -> None:
    with temporary_journal() as folder:
        paths = [p for kind in KINDS for p in segments(folder, kind)]
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(paths))
            bytes_now = bytearray(path.read_bytes())
            at = data.draw(st.integers(0, max(0, len(bytes_now) - 1)))
            if data.draw(st.booleans()):
                path.write_bytes(bytes_now[:at])
            elif bytes_now:
                bytes_now[at] ^= data.draw(st.integers(1, 255))
                path.write_bytes(bytes_now)
        with opened(folder) as one:
            for kind, last in (("results", 80), ("events", 40)):
                numbers = one.numbers(kind)
                assert set(numbers) | one.lost_numbers(kind) == set(range(1, last + 1))
                assert not set(numbers) & one.lost_numbers(kind)
                assert one.journal.append(kind, b"next") == last + 1


@contextmanager
def temporary_journal() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        with opened(Path(name)) as one:
            fill(one.journal, "results", 4)
            fill(one.journal, "events", 2)
        yield Path(name)
