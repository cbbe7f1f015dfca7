"""The frame format: whatever happens to the bytes, no wrong record comes out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edge.domain import SeqRange
from edge.shell.segments import (
    FRAME_BYTES,
    HEADER_BYTES,
    Marks,
    Segment,
    first_of,
    frame_head,
    header,
    log_of,
    scan,
    seed_of,
    unframe,
)

LOG = "0123456789abcdef"
HEAD = header(LOG, "results", 5)
SEED = seed_of(HEAD)
PAYLOADS = st.lists(st.binary(max_size=60), max_size=12)


def built(payloads: list[bytes], first: int = 5) -> bytes:
    return HEAD + b"".join(frame_head(SEED, first + i, p) + p for i, p in enumerate(payloads))


def read(data: bytes) -> dict[int, bytes]:
    return {seq: payload for seq, _, payload in scan(data, SEED, 4)}


def test_sizes_are_as_drawn() -> None:
    assert len(HEAD) == HEADER_BYTES
    assert len(frame_head(SEED, 1, b"payload")) == FRAME_BYTES
    assert (HEAD[:8], HEAD[8:24], HEAD[24:32], HEAD[32:40]) == (
        b"JIDKSEG1",
        LOG.encode(),
        b"results\0",
        (5).to_bytes(8, "little"),
    )


@given(PAYLOADS)
def test_what_was_written_is_read(payloads: list[bytes]) -> None:
    assert read(built(payloads)) == dict(enumerate(payloads, 5))


@given(PAYLOADS, st.data())
def test_cut_anywhere_gives_the_records_before_the_cut(payloads: list[bytes], data: st.DataObject) -> None:
    whole = built(payloads)
    cut = data.draw(st.integers(0, len(whole)))
    want, at = {}, HEADER_BYTES
    for seq, payload in enumerate(payloads, 5):
        at += FRAME_BYTES + len(payload)
        if at <= cut:
            want[seq] = payload
    assert read(whole[:cut]) == want


@given(PAYLOADS.filter(bool), st.data())
def test_damage_costs_only_the_records_it_touches(payloads: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(built(payloads))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    want, start = {}, HEADER_BYTES
    for seq, payload in enumerate(payloads, 5):
        end = start + FRAME_BYTES + len(payload)
        if not start <= at < end:
            want[seq] = payload
        start = end
    assert read(bytes(whole)) == want


@given(PAYLOADS, st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=30)), max_size=4))
def test_no_damage_makes_a_wrong_record(payloads: list[bytes], patches: list[tuple[int, bytes]]) -> None:
    whole = bytearray(built(payloads))
    for where, patch in patches:
        at = where % (len(whole) + 1)
        whole[at : at + len(patch)] = patch
    assert read(bytes(whole)).items() <= dict(enumerate(payloads, 5)).items()


@given(st.binary(max_size=300))
def test_noise_is_no_record(noise: bytes) -> None:
    assert read(noise) == {}


def test_a_payload_that_holds_a_frame_of_another_segment_is_no_record() -> None:
    other = seed_of(header(LOG, "events", 5))
    inner = frame_head(other, 6, b"inner") + b"inner"
    broken = bytearray(built([inner]))
    broken[HEADER_BYTES] ^= 1
    assert read(bytes(broken)) == {}


def test_a_frame_repeated_further_on_is_not_read_twice() -> None:
    whole = built([b"one", b"two"])
    assert [s for s, _, _ in scan(whole + whole[HEADER_BYTES:], SEED, 4)] == [5, 6]


def test_a_length_beyond_all_bounds_is_damage() -> None:
    data = bytearray(built([b"x"]))
    data[HEADER_BYTES + 4 : HEADER_BYTES + 8] = b"\xff\xff\xff\x7f"
    assert unframe(bytes(data), HEADER_BYTES, SEED) is None


def test_a_file_full_of_frame_marks_ends_in_time() -> None:
    assert read(HEAD + b"\xa7JR\n" * 200_000) == {}


def test_the_log_is_read_from_a_good_header_only() -> None:
    assert log_of(HEAD) == LOG
    assert log_of(HEAD[:-9]) is None
    for at in range(44):
        damaged = bytearray(HEAD)
        damaged[at] ^= 1
        assert log_of(bytes(damaged)) is None


def test_file_names_carry_the_first_number() -> None:
    segment = Segment(Path("results"), LOG, "results", 5)
    assert segment.path.name == "00000000000000000005.seg"
    assert first_of(segment.path) == 5
    for name in ("5.seg", "00000000000000000005.tmp", "0000000000000000000x.seg", "0" * 20 + ".seg"):
        assert first_of(Path(name)) is None


@given(st.sets(st.integers(1, 30)), st.integers(1, 30), st.integers(0, 30))
def test_missing_ranges_and_present_numbers_make_the_whole(present: set[int], first: int, length: int) -> None:
    marks = Marks()
    for seq in sorted(present):
        marks.add(seq, 0, 0)
    last = first + length - 1
    holes = marks.missing(first, last)
    covered = {n for hole in holes for n in range(hole.first, hole.last + 1)}
    assert covered == set(range(first, last + 1)) - present
    assert all(isinstance(hole, SeqRange) and hole.first <= hole.last for hole in holes)


LIMITED = """
import os, resource, sys
from edge.shell.segments import write_all
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
try:
    write_all(fd, b"x" * 1500, 3)
except OSError as error:
    print(error.strerror, os.fstat(fd).st_size)
"""


def test_a_short_write_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    # At its file size limit the system writes what still fits and says so; only the next call fails.
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "File too large 1000\n"
