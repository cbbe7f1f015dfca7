"""The ledger as a file: errors with a code, giving space back, and copies."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.coordinator import backup, lease, sql
from edge.coordinator.ledger import SqlLedger
from edge.coordinator.queries import Filter, page
from edge.coordinator.retention import GB, Limits, Retention
from edge.coordinator.service import load_keys
from edge.errors import ConfigError, InputError, JidokaError, StoreError
from edge.messages import Desired
from tests.coordinator.serving import batch, code_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[SqlLedger]:
    made = SqlLedger(f"sqlite:///{file}")
    yield made
    made.close()


def test_power_cut_settings_stand(ledger: SqlLedger) -> None:
    with sql.reading(ledger.engine) as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2}


def test_a_locked_ledger_is_said_and_nothing_is_half_kept(ledger: SqlLedger, file: Path) -> None:
    with sql.writing(ledger.engine) as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")  # the pool hands the same connection out again
    other = sqlite3.connect(file)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        ledger.commit([batch(1, 3)])
    other.rollback()
    other.close()
    assert code_of(caught) == "STORE_LOCKED"
    assert ledger.positions("hall", "a1", "log1") == []
    assert ledger.commit([batch(1, 3)])[0].upto == 3


def test_what_is_no_ledger_is_said(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to have a header of one" * 20)
    for url, code in (
        (f"sqlite:///{text}", "STORE_UNREADABLE"),
        (f"sqlite:///{tmp_path}", "STORE_UNREADABLE"),
        (f"sqlite:///{tmp_path}/absent/ledger.db", "STORE_UNREADABLE"),
        ("nonsense", "STORE_URL_INVALID"),
        ("oracle://x", "STORE_UNSUPPORTED"),
    ):
        with pytest.raises(StoreError) as caught:
            SqlLedger(url)
        assert code_of(caught) == code, url


def test_a_read_only_ledger_is_said(ledger: SqlLedger, file: Path) -> None:
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    ledger.commit([batch(1, 1)])
    with pytest.raises(StoreError) as caught:
        SqlLedger(url)
    assert code_of(caught) == "STORE_READ_ONLY"


def test_a_full_disk_is_said_and_what_was_kept_stays(ledger: SqlLedger) -> None:
    ledger.commit([batch(1, 1)])
    with sql.reading(ledger.engine) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError) as caught:
        ledger.commit([batch(1, 20, kind="evidence")])
    assert code_of(caught) == "STORE_FULL"
    assert [row.kind for row in ledger.positions("hall", "a1", "log1")] == ["results"]


def test_forgetting_by_size_takes_pictures_first(ledger: SqlLedger, file: Path) -> None:
    ledger.commit([batch(1, 50), batch(1, 200, kind="evidence")])
    keeper = Retention(ledger.engine, Limits(gb=0.6 * Retention(ledger.engine, Limits()).size_bytes() / GB))
    before = size_on_disk(file)
    while keeper.trim(2)[1]:
        pass
    assert len(page(ledger.engine, "results", Filter()).rows) == 50
    assert page(ledger.engine, "evidence", Filter()).rows == []
    assert size_on_disk(file) < 0.6 * before


def size_on_disk(file: Path) -> int:
    """Bytes of the file itself, once everything of its write-ahead log is in it."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    return file.stat().st_size


def test_a_copy_taken_while_it_runs_comes_back_under_a_new_id(ledger: SqlLedger, file: Path, tmp_path: Path) -> None:
    url, copy = f"sqlite:///{file}", tmp_path / "copy.db"
    ledger.commit([batch(1, 3)])
    ledger.save_desired("hall", "a1", Desired(ledger.ledger_id, 7, {"x": 1}))
    assert backup.backup(url, copy) == copy.stat().st_size
    with pytest.raises(InputError) as caught:
        backup.backup(url, copy)
    assert code_of(caught) == "FILE_EXISTS"
    ledger.commit([batch(4, 3)])
    old_id = ledger.ledger_id
    ledger.close()
    new_id, kept = backup.restore(url, copy)
    assert kept is not None
    back, before = SqlLedger(url), SqlLedger(f"sqlite:///{kept}")
    assert back.ledger_id == new_id != old_id == before.ledger_id
    assert [row.upto for row in back.positions("hall", "a1", "log1")] == [3]
    assert [row.upto for row in before.positions("hall", "a1", "log1")] == [6]
    assert back.load_desired("hall")["a1"] == Desired(new_id, 7, {"x": 1})
    back.close()
    before.close()


def test_nothing_is_restored_over_a_coordinator_that_serves_or_from_what_is_no_ledger(ledger, file, tmp_path) -> None:
    url, copy = f"sqlite:///{file}", tmp_path / "copy.db"
    backup.backup(url, copy)
    lease.hold(ledger.engine, "hall", lease.holder_name(), 4_000_000_000_000)
    (tmp_path / "text").write_text("x" * 5000)
    for source, code in ((copy, "STORE_IN_USE"), (tmp_path / "absent", "FILE_MISSING")):
        with pytest.raises(JidokaError) as caught:
            backup.restore(url, source)
        assert code_of(caught) == code
    with pytest.raises(StoreError) as bad:
        backup.restore(f"sqlite:///{tmp_path / 'new.db'}", tmp_path / "text")
    assert code_of(bad) == "STORE_UNREADABLE"
    assert not (tmp_path / "new.db").exists()
    assert [row.upto for row in ledger.positions("hall", "a1", "log1")] == []


def test_keys_are_read_and_must_be_private(tmp_path: Path) -> None:
    key = tmp_path / "cell-1.key"
    key.write_bytes(b"secret\n")
    key.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert load_keys(tmp_path) == {"cell-1": b"secret"}
    key.chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        load_keys(tmp_path)
    assert code_of(caught) == "SECRET_EXPOSED"
    assert os.path.lexists(key)
