"""What is PostgreSQL's own: its errors in our words, its lock, its files that never shrink, and being restarted."""

from __future__ import annotations

import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from edge.cli.main import main
from edge.coordinator import backup, lease, schema, sql
from edge.coordinator.ledger import SqlLedger
from edge.coordinator.live_bytes import STEP, LiveBytes
from edge.coordinator.queries import Filter, counts, page
from edge.coordinator.retention import GB, Limits, Retention
from edge.coordinator.service import Coordinator, Options
from edge.errors import StoreError
from edge.messages import Desired
from edge.shell.endpoint import Endpoint
from tests.coordinator.serving import batch, closed_port, code_of
from tests.postgres_rig import PostgresServer, postgres_server, programs

WAIT_S = 20.0


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[SqlLedger]:
    made = SqlLedger(postgres_url)
    yield made
    made.close()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that a test may stop."""
    with postgres_server() as made:
        yield made


def shows(ledger: SqlLedger, name: str) -> str:
    with sql.reading(ledger.engine) as connection:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())


def test_power_cut_settings_stand_whatever_the_server_says(postgres: PostgresServer) -> None:
    name = postgres.new_database()
    postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    made = SqlLedger(postgres.url(name))
    assert shows(made, "synchronous_commit") == "on"
    postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = remote_apply")
    stronger = SqlLedger(postgres.url(name) + "?options=-c%20lock_timeout%3D7s")
    assert [shows(stronger, name) for name in ("synchronous_commit", "lock_timeout")] == ["remote_apply", "7s"]
    made.close()
    stronger.close()


def test_a_connection_that_fails_says_why_and_keeps_the_password(postgres: PostgresServer) -> None:
    name, ascii_only, own = postgres.new_database(), "letters", postgres.new_database()
    postgres.execute(
        f"CREATE DATABASE {ascii_only} ENCODING 'SQL_ASCII' TEMPLATE template0",
        "CREATE USER guest PASSWORD 'guest'",
        f"ALTER DATABASE {own} SET default_transaction_read_only = on",
    )
    url = postgres.url
    for wrong, code, word in (
        (url(name, password="hush"), "STORE_REFUSED", "password authentication failed"),
        (f"{url(name, password='')}?password=hush", "STORE_REFUSED", "password authentication failed"),
        (url("nowhere"), "STORE_REFUSED", "createdb"),
        (url(name).replace(f":{postgres.port}", f":{closed_port()}"), "STORE_UNREACHABLE", "refused"),
        (url(name).replace("127.0.0.1", "no-such-host.invalid"), "STORE_UNREACHABLE", "no-such-host"),
        (url(ascii_only), "STORE_UNSUPPORTED", "UTF8"),
        (url(name, user="guest", password="guest"), "STORE_READ_ONLY", "permission denied"),
        (url(own), "STORE_READ_ONLY", "read-only"),
        (url(name).replace("postgresql:", "postgresql+pg8000:"), "STORE_UNSUPPORTED", "psycopg"),
    ):
        with pytest.raises(StoreError) as caught:
            SqlLedger(wrong)
        assert (code_of(caught), "hush" in str(caught.value)) == (code, False), wrong
        assert word in str(caught.value)


def test_a_writer_waits_for_the_one_before_only_so_long(postgres_url: str, ledger: SqlLedger) -> None:
    hasty = SqlLedger(postgres_url + "?options=-c%20lock_timeout%3D50")
    with sql.writing(ledger.engine):
        with pytest.raises(StoreError) as caught:
            hasty.commit([batch(1, 3)])
        assert counts(hasty.engine)["results"] == 0  # readers wait for nobody
    assert code_of(caught) == "STORE_LOCKED"
    assert hasty.commit([batch(1, 3)])[0].upto == 3
    hasty.close()


def test_pages_skip_nothing_while_two_sites_write(postgres_url: str, ledger: SqlLedger) -> None:
    """Ids must rise in the order of commits, or a cursor passes a row that was not there yet."""
    other = SqlLedger(postgres_url)
    each = 60

    def write(into: SqlLedger, site: str) -> None:
        for n in range(1, each + 1):
            into.commit([batch(n, 1, site=site)])

    seen: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, ledger, "north"), pool.submit(write, other, "south")]
        cursor: int | None = None
        ended = False
        while not ended:
            ended = all(writer.done() for writer in writers)
            found = page(ledger.engine, "results", Filter(), cursor=cursor, order="oldest")
            seen += [row["id"] for row in found.rows]
            cursor = seen[-1] if seen else None
        for writer in writers:
            writer.result()
    other.close()
    assert len(seen) == len(set(seen)) == 2 * each


def test_who_falls_silent_inside_a_transaction_is_cut_off(postgres_url: str, ledger: SqlLedger) -> None:
    silent = SqlLedger(postgres_url + "?options=-c%20idle_in_transaction_session_timeout%3D100")

    def fall_silent() -> None:
        with sql.writing(silent.engine) as connection:
            connection.execute(sa.delete(schema.meta))
            assert ledger.commit([batch(1, 1)])[0].upto == 1  # waits until the server has missed the other
            connection.execute(sa.delete(schema.meta))

    with pytest.raises(StoreError) as caught:
        fall_silent()
    assert code_of(caught) in {"STORE_LOCKED", "STORE_UNREACHABLE"}
    assert ledger.commit([batch(2, 1)])[0].upto == 2
    silent.close()


def test_forgetting_by_size_takes_pictures_first_and_then_stops(ledger: SqlLedger) -> None:
    ledger.commit([batch(1, 2000), batch(1, 1200, kind="evidence")])
    tables = [LiveBytes(table) for table in (schema.results, schema.evidence)]
    with sql.reading(ledger.engine) as connection:
        assert [table.count(connection) for table in tables] == [False, False]
        on_disk = [
            connection.scalar(sa.select(sa.func.pg_total_relation_size(name))) for name in ("results", "evidence")
        ]
    for live, disk in zip(tables, on_disk, strict=True):
        assert live.size_bytes == pytest.approx(disk, rel=0.15)
    keeper = Retention(ledger.engine, Limits(gb=0.7 * sum(live.size_bytes for live in tables) / GB))
    assert keeper.trim(2) == (500, True)
    assert keeper.trim(3) == (0, False)
    left = counts(ledger.engine)
    assert (left["results"], left["evidence"]) == (2000, 700)  # one portion of 500 was enough
    assert min(row["seq"] for row in page(ledger.engine, "evidence", Filter(), limit=1000).rows) == 501


def test_live_bytes_are_counted_in_steps_and_follow_what_others_remove(ledger: SqlLedger) -> None:
    for first in range(1, STEP + 2000, 2000):
        ledger.commit([batch(first, 2000)])
    live = LiveBytes(schema.results)
    with sql.reading(ledger.engine) as connection:
        assert live.count(connection)
        part = live.size_bytes
        assert not live.count(connection)
    whole = live.size_bytes
    assert whole == pytest.approx(1.2 * part, rel=0.01)
    for least, share in ((STEP // 2, 7 / 12), (STEP + 1000, 1 / 12)):
        with sql.writing(ledger.engine) as connection:
            connection.execute(sa.delete(schema.results).where(schema.results.c.seq <= least))
            assert not live.count(connection)
        assert live.size_bytes == pytest.approx(share * whole, rel=0.01)


def test_copies_are_left_to_its_own_tools_and_come_back_under_a_new_id(
    postgres: PostgresServer, postgres_url: str, ledger: SqlLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.commit([batch(1, 3), batch(1, 1, kind="evidence")])
    ledger.save_desired("hall", "a1", Desired(ledger.ledger_id, 7, {"x": 1}))
    lease.hold(ledger.engine, "hall", lease.holder_name(), 4_000_000_000_000)
    where = ["--db", postgres_url, "--data", str(tmp_path)]
    for command, tool in (("backup", "pg_dump"), ("restore", "renew-id")):
        assert main(["coordinator", command, str(tmp_path / "copy"), *where]) == 6
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("STORE_UNSUPPORTED: ") and tool in line
    assert main(["coordinator", "renew-id", *where]) == 6
    assert capsys.readouterr().err.startswith("STORE_IN_USE: ")
    target = postgres.url(postgres.new_database())
    found, copy = programs(), str(tmp_path / "copy")
    assert found is not None
    subprocess.run([found / "pg_dump", "--format=custom", f"--file={copy}", postgres_url], check=True)
    lease.release(ledger.engine, "hall", lease.holder_name())
    subprocess.run([found / "pg_restore", f"--dbname={target}", copy], check=True)
    engine = sql.open_engine(target)
    with sql.writing(engine) as connection:
        connection.execute(sa.update(schema.lease).values(expires_utc_ms=0))  # by the time one restores, it ran out
    engine.dispose()
    new_id = backup.renew_id(target)
    back = SqlLedger(target)
    assert back.ledger_id == new_id != ledger.ledger_id
    assert {row.kind: row.upto for row in back.positions("hall", "a1", "log1")} == {"results": 3, "evidence": 1}
    assert back.load_desired("hall")["a1"] == Desired(new_id, 7, {"x": 1})
    assert back.commit([batch(4, 1)])[0].upto == 4  # the sequences came along
    back.close()


def test_what_is_no_ledger_gets_no_new_id(postgres_url: str, tmp_path: Path) -> None:
    for url, code in ((postgres_url, "STORE_UNREADABLE"), (f"sqlite:///{tmp_path / 'absent'}", "FILE_MISSING")):
        with pytest.raises(Exception, match=code):
            backup.renew_id(url)
    assert list(tmp_path.iterdir()) == []


def crash_inside(ledger: SqlLedger, server: PostgresServer) -> None:
    with sql.writing(ledger.engine) as connection:
        connection.execute(sa.delete(schema.results))
        server.stop(signal.SIGQUIT)
        connection.execute(sa.delete(schema.results))


def test_a_server_that_went_is_said_and_used_again_when_it_is_back(own_server: PostgresServer) -> None:
    ledger = SqlLedger(own_server.url("postgres"))
    ledger.commit([batch(1, 1)])
    own_server.stop(signal.SIGQUIT)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            ledger.commit([batch(2, 1)])
        assert code_of(caught) == "STORE_UNREACHABLE"
    own_server.start()
    assert ledger.commit([batch(2, 1)])[0].upto == 2
    own_server.stop()
    own_server.start()
    assert ledger.commit([batch(3, 1)])[0].upto == 3  # restarted while nobody looked: not even an error
    with pytest.raises(StoreError) as caught:
        crash_inside(ledger, own_server)
    assert code_of(caught) == "STORE_UNREACHABLE"
    own_server.start()
    assert [row.upto for row in ledger.positions("hall", "a1", "log1")] == [3]
    assert counts(ledger.engine)["results"] == 3
    ledger.close()


def test_a_standby_waits_through_an_outage(own_server: PostgresServer) -> None:
    url = own_server.url("postgres")
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    epochs: queue.SimpleQueue[int] = queue.SimpleQueue()
    options = Options("hall", url, Endpoint("127.0.0.1", closed_port()))
    standby = Coordinator(options, lambda _level, code, _text: said.put(code))
    lease.hold(standby.ledger.engine, "hall", "elsewhere", 4_000_000_000_000)
    thread = threading.Thread(target=lambda: epochs.put(standby.wait_for_lease()))
    thread.start()
    assert said.get(timeout=WAIT_S) == "COORDINATOR_STANDBY"
    own_server.stop()
    assert said.get(timeout=WAIT_S) == "STORE_UNREACHABLE"
    own_server.start()
    first = SqlLedger(url)
    lease.release(first.engine, "hall", "elsewhere")
    first.close()
    assert epochs.get(timeout=WAIT_S) == 2
    thread.join(WAIT_S)
    standby.close()
    standby.desk.dispose()
