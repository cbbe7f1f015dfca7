"""What only the real journal has: a folder, a thread, a disk that fills up."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest

from edge.errors import StoreError
from edge.shell.journal import Journal

MIB = 1024 * 1024


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal(tmp_path / "journal")
    yield one
    one.close()


def test_the_callback_comes_by_itself_from_the_journals_thread(tmp_path: Path) -> None:
    seen: list[tuple[str, int, str]] = []
    done = threading.Event()

    def told(kind: str, upto: int) -> None:
        seen.append((kind, upto, threading.current_thread().name))
        if upto == 3:
            done.set()

    journal = Journal(tmp_path, on_committed=told)
    try:
        for _ in range(3):
            journal.append("results", b"x")
        assert done.wait(5)
    finally:
        journal.close()
    assert {name for _, _, name in seen} == {"journal"}


def test_what_was_not_waited_for_is_written_when_it_is_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, delay_s=60)
    for n in range(100):
        journal.append("events", str(n).encode())
    journal.close()
    again = Journal(tmp_path)
    assert [p for _, p in again.read("events", 1, 1000, 10**6)] == [str(n).encode() for n in range(100)]
    again.close()


def test_many_small_records_make_few_commits(journal: Journal) -> None:
    for _ in range(500):
        journal.append("results", bytes(100))
    assert journal.flush()
    assert journal.counters()["commits"] <= 3


def test_a_full_batch_does_not_wait(tmp_path: Path) -> None:
    committed = threading.Event()
    journal = Journal(tmp_path, delay_s=60, on_committed=lambda _kind, _upto: committed.set())
    try:
        for _ in range(300):
            journal.append("results", bytes(1000))
        assert committed.wait(5)
    finally:
        journal.close()


def test_a_folder_in_use_is_refused_and_free_after_closing(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    code = f"from edge.shell.journal import Journal\ntry:\n    Journal({str(tmp_path)!r})\nexcept Exception as e:\n    print(e)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("JOURNAL_LOCKED: ")
    with pytest.raises(StoreError) as caught:
        Journal(tmp_path)
    assert caught.value.code == "JOURNAL_LOCKED"
    first.close()
    Journal(tmp_path).close()


def test_a_file_instead_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        Journal(tmp_path / "file")
    assert caught.value.code == "JOURNAL_UNUSABLE"


def test_too_small_a_bound_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Journal(tmp_path, max_bytes=1000)
    assert caught.value.code == "JOURNAL_TOO_SMALL"


READ_ONLY = """
import os, sys
from edge.errors import StoreError
from edge.shell.journal import Journal
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    Journal(sys.argv[1])
except StoreError as error:
    print(error.code, bool(error.hint))
"""


@pytest.mark.parametrize("made_before", [False, True])
def test_a_read_only_folder_is_said(tmp_path: Path, *, made_before: bool) -> None:
    folder = tmp_path / "journal"
    if made_before:
        Journal(folder).close()
    else:
        folder.mkdir()
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in (tmp_path, *tmp_path.parents):
        # The other user must reach the folder: pytest makes the ones above it private.
        if Path(gettempdir()) in path.parents:
            path.chmod(path.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True, check=False)
    folder.chmod(0o755)
    assert done.stdout == "JOURNAL_READ_ONLY True\n", done.stderr


def test_the_queue_is_bounded_and_evidence_is_refused_first(tmp_path: Path) -> None:
    stuck, go_on = threading.Event(), threading.Event()

    def block(_kind: str, _upto: int) -> None:
        stuck.set()
        go_on.wait(10)

    journal = Journal(tmp_path, max_bytes=8 * MIB, on_committed=block)
    try:
        journal.append("events", b"first")
        assert stuck.wait(5)
        # The thread is held in its callback, as it would be by a disk that does not answer.
        evidence = [journal.append("evidence", bytes(10_000)) for _ in range(100)]
        results = [journal.append("results", bytes(10_000)) for _ in range(100)]
        counters = journal.counters()
    finally:
        go_on.set()
        journal.close()
    assert evidence.index(0) * 10_020 <= MIB // 2 < (evidence.index(0) + 1) * 10_020
    assert evidence.index(0) <= results.index(0)
    assert counters["refused_queue_full"] == evidence.count(0) + results.count(0)
    assert counters["queued_bytes"] <= MIB
    again = Journal(tmp_path)
    assert again.heads()["results"].last == max(results)
    assert again.heads()["evidence"].last == max(evidence)
    again.close()


def test_reading_while_it_is_written_and_evicted_gives_only_right_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=MIB, segment_bytes=32768, delay_s=0.001)
    stop = threading.Event()
    wrong: list[object] = []
    seen: list[int] = []

    def read() -> None:
        at = 1
        while not stop.is_set():
            try:
                got = journal.read("results", at, 50, 10**6)
            except StoreError as error:
                wrong.append(error)
                return
            wrong.extend(n for n, payload in got if payload != n.to_bytes(8) * 100)
            seen.extend(n for n, _ in got)
            at = got[-1][0] + 1 if got else at

    reader = threading.Thread(target=read, name="reader")
    reader.start()
    try:
        for n in range(1, 3001):
            while not journal.append("results", n.to_bytes(8) * 100):
                journal.flush()
        assert journal.flush()
    finally:
        stop.set()
        reader.join()
        counters = journal.counters()
        journal.close()
    assert wrong == []
    assert seen == sorted(set(seen))
    assert counters.get("lost_corrupt", 0) == 0
    assert counters["lost_evicted"] > 0
