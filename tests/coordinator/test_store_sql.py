"""What the ledger promises in every database: the same schema, one active coordinator, forgetting."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from edge.coordinator import lease, schema, sql
from edge.coordinator.ledger import SqlLedger
from edge.coordinator.queries import Filter, page
from edge.coordinator.retention import CHUNK, DAY_MS, Limits, Retention
from edge.errors import StoreError
from edge.messages import Desired
from tests.coordinator.serving import batch, code_of


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        f"sqlite:///{tmp_path / 'ledger.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )


@pytest.fixture
def ledger(url: str) -> Iterator[SqlLedger]:
    made = SqlLedger(url)
    yield made
    made.close()


def test_it_is_the_same_ledger_when_opened_again(ledger: SqlLedger, url: str) -> None:
    ledger.commit([batch(1, 3)])
    again = SqlLedger(url)
    assert again.ledger_id == ledger.ledger_id
    assert [row.upto for row in again.positions("hall", "a1", "log1")] == [3]
    again.close()


def test_a_ledger_of_a_later_release_is_left_alone(ledger: SqlLedger, url: str) -> None:
    with sql.writing(ledger.engine) as connection:
        connection.execute(sa.insert(schema.schema_version).values(version=99))
    with pytest.raises(StoreError) as caught:
        SqlLedger(url)
    assert code_of(caught) == "STORE_TOO_NEW"


def test_a_ledger_of_the_first_schema_is_brought_up_to_date_with_its_rows(ledger: SqlLedger, url: str) -> None:
    ledger.commit([batch(1, 3)])
    with sql.writing(ledger.engine) as connection:
        for name in ("values", "views"):
            connection.exec_driver_sql(f'ALTER TABLE results DROP COLUMN "{name}"')
        connection.execute(sa.delete(schema.schema_version).where(schema.schema_version.c.version > 1))
    again = SqlLedger(url)
    again.commit([batch(4, 1)])
    rows = page(again.engine, "results", Filter(), order="oldest").rows
    assert [(row["seq"], row["values"], len(row["views"])) for row in rows] == [
        *[(n, {}, 0) for n in (1, 2, 3)],
        (4, {"gap_mm": 2.0}, 2),
    ]
    again.close()


def test_one_holder_at_a_time_and_the_next_after_expiry(ledger: SqlLedger) -> None:
    engine = ledger.engine
    assert lease.hold(engine, "hall", "one", 1_000, 10) == 1
    assert lease.hold(engine, "hall", "two", 5_000, 10) == 0
    assert lease.hold(engine, "hall", "one", 6_000, 10) == 1
    assert lease.hold(engine, "hall", "two", 15_999, 10) == 0
    assert lease.hold(engine, "hall", "two", 16_000, 10) == 2
    assert lease.hold(engine, "hall", "one", 16_001, 10) == 0
    assert lease.hold(engine, "other", "one", 16_001, 10) == 1
    lease.release(engine, "hall", "two")
    assert lease.hold(engine, "hall", "one", 16_002, 10) == 3


def test_who_slept_through_its_lease_cannot_write(ledger: SqlLedger) -> None:
    ledger.holder = "one"
    lease.hold(ledger.engine, "hall", "one", 1_000, 10)
    ledger.commit([batch(1, 1)])
    lease.hold(ledger.engine, "hall", "two", 99_000, 10)
    for write in (lambda: ledger.commit([batch(2, 1)]), lambda: ledger.save_desired("hall", "a1", Desired("x", 1))):
        with pytest.raises(StoreError) as caught:
            write()
        assert code_of(caught) == "LEASE_LOST"
    assert [row.upto for row in ledger.positions("hall", "a1", "log1")] == [1]


def test_a_killed_holder_is_succeeded_at_once(ledger: SqlLedger) -> None:
    made = "from edge.coordinator.lease import holder_name; print(holder_name())"
    dead = subprocess.run([sys.executable, "-c", made], capture_output=True, text=True, check=True).stdout.strip()
    assert lease.hold(ledger.engine, "hall", dead, 1_000, 1e6) == 1
    assert lease.is_dead(dead)
    assert not lease.is_dead(lease.holder_name())
    assert not lease.is_dead("elsewhere/1/" + dead.split("/")[2] + "/x")
    assert lease.hold(ledger.engine, "hall", "two", 1_001, 10) == 2


def test_forgetting_by_age_leaves_upto_alone(ledger: SqlLedger) -> None:
    ledger.commit([batch(1, CHUNK + 10, utc_ms=1), batch(1, 5, utc_ms=1, kind="evidence")])
    ledger.commit([batch(CHUNK + 11, 10, utc_ms=5 * DAY_MS)])
    keeper = Retention(ledger.engine, Limits(days=3, evidence_days=1))
    assert keeper.trim(3 * DAY_MS) == (5, False)
    assert keeper.trim(6 * DAY_MS) == (CHUNK, True)
    assert keeper.trim(6 * DAY_MS) == (10, False)
    assert keeper.trim(6 * DAY_MS) == (0, False)
    assert len(page(ledger.engine, "results", Filter()).rows) == 10
    assert {row.kind: row.upto for row in ledger.positions("hall", "a1", "log1")} == {
        "results": CHUNK + 20,
        "evidence": 5,
    }


def test_all_who_open_a_new_ledger_at_once_find_the_same_one(url: str) -> None:
    starts = threading.Barrier(4)

    def open_it(_: int) -> str:
        starts.wait()
        made = SqlLedger(url)
        made.close()
        return made.ledger_id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(open_it, range(4)))) == 1


def test_of_engines_that_want_the_lease_at_once_one_gets_it(url: str, ledger: SqlLedger) -> None:
    other = SqlLedger(url)
    starts = threading.Barrier(2)

    def hold(engine: sa.Engine, holder: str, now_utc_ms: int) -> int:
        starts.wait()
        return lease.hold(engine, "hall", holder, now_utc_ms, ttl_s=1)

    with ThreadPoolExecutor(2) as pool:
        for turn in range(1, 16):
            # Names of this turn alone: each time both want it from one that has run out.
            pair = [(ledger.engine, f"one-{turn}"), (other.engine, f"two-{turn}")]
            got = [pool.submit(hold, *who, turn * 10_000) for who in pair]
            assert sorted(one.result() for one in got) == [0, turn]
    other.close()
