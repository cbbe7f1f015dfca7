"""One matrix of behaviours, two brokers, the same expectations: what the virtual plant shows, Mosquitto would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edge.shell.broker import Broker, find_mosquitto
from tests.contract import broker_rows_access, broker_rows_retained, broker_rows_sessions, broker_rows_wills
from tests.contract.broker_live import LiveWorld, Running
from tests.contract.broker_rows import ROWS, Row
from tests.contract.broker_rows_access import ACL, OwnFolders
from tests.contract.broker_worlds import MemoryWorld
from tests.live.broker_rig import mosquitto

FURTHER = (broker_rows_access, broker_rows_retained, broker_rows_sessions, broker_rows_wills)
"""Importing them has put their rows into the matrix."""

EACH_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@EACH_ROW
def test_in_memory(row: Row) -> None:
    row.script(MemoryWorld(persistent=row.persistent, rules=OwnFolders() if row.access else None))


@pytest.fixture
def live(request, tmp_path) -> Iterator[LiveWorld]:
    if find_mosquitto() is None:
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    row: Row = request.getfixturevalue("row")
    with ExitStack() as stack:
        broker: Broker | Running
        if row.access:
            (tmp_path / "acl").write_text(ACL)
            port, _ = stack.enter_context(mosquitto(tmp_path, "allow_anonymous true", f"acl_file {tmp_path / 'acl'}"))
            broker = Running("127.0.0.1", port)
        else:
            broker = stack.enter_context(Broker("mosquitto", data_dir=tmp_path if row.persistent else None))
        world = LiveWorld(broker)
        stack.callback(world.close)
        yield world


@pytest.mark.live
@EACH_ROW
def test_mosquitto(row: Row, live: LiveWorld) -> None:
    row.script(live)


def test_the_matrix_is_whole() -> None:
    assert len(ROWS) >= 50
    assert {row.script.__module__ for row in ROWS} >= {module.__name__ for module in FURTHER}
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.section for row in ROWS)
