"""The coordinator's carrier with a real ledger: what comes in one turn is one transaction, however many agents it is of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from edge.coordinator.carrier import Carrier
from edge.coordinator.desk import Desk
from edge.coordinator.ledger import SqlLedger
from edge.coordinator.retention import Limits, Retention
from edge.core.backoff import Backoff
from edge.core.fleet import FleetCore
from edge.domain import KINDS
from edge.events_fleet import Heard, LinkUp
from edge.messages import Ack, Reported, Result, State, encode_record
from edge.topics import decode, envelope

HERD = 300


class Ear:
    """The link's place: what was handed over."""

    def __init__(self) -> None:
        self.acks: dict[str, list[Ack]] = {}

    def publish(self, agent: str, kind: str, payload: bytes, **_: object) -> None:
        message = decode(kind, payload)  # type: ignore[arg-type]
        if isinstance(message, Ack):
            self.acks.setdefault(agent, []).append(message)


class Rig:
    """A carrier on a ledger in a file, its commits counted."""

    def __init__(self, folder: Path) -> None:
        self.ledger = SqlLedger(f"sqlite:///{folder / 'ledger.db'}")
        self.desk = Desk()
        self.commits = 0
        self.said: list[str] = []
        core = FleetCore("hall", self.ledger.ledger_id, 1, Backoff(0.5, 60.0, random.Random(1)))
        retention = Retention(self.ledger.engine, Limits())
        self.carrier = Carrier(
            "hall", core, self.ledger, self.desk, retention, lambda _l, code, _t: self.said.append(code)
        )
        self.ear = self.carrier.link = Ear()  # type: ignore[assignment]
        sa.event.listen(self.ledger.engine, "commit", self._count)
        self.carrier.post(LinkUp())

    def _count(self, _connection: object) -> None:
        self.commits += 1

    def birth(self, agent: str) -> None:
        self.carrier.post(Heard(agent, "state", State("online", f"log-{agent}", 1, 1, ready=True)))
        self.carrier.post(Heard(agent, "reported", Reported("", 0, ok=True)))

    def result(self, agent: str, seq: int) -> None:
        record = encode_record(Result("pass", 1, "cam", seq, seq, 1))
        self.carrier.post(
            Heard(agent, "results", decode("results", envelope(f"log-{agent}", "results", seq, [record], 1)))
        )

    def close(self) -> None:
        self.ledger.close()
        self.desk.dispose()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def test_a_herd_of_births_is_few_transactions_and_everybody_hears(rig: Rig):
    names = [f"a{n}" for n in range(HERD)]
    for name in names:
        rig.birth(name)
    rig.carrier.turn()
    assert rig.commits <= 4, "reading counts as one, too"
    assert {name: [ack.upto for ack in acks] for name, acks in rig.ear.acks.items()} == {
        name: [dict.fromkeys(KINDS, 0)] for name in names
    }
    known = rig.ledger.load_agents("hall")
    assert sorted(known) == sorted(names)
    assert all(one.state and one.state.status == "online" and one.reported for one in known.values())


def test_births_and_results_of_one_turn_know_of_each_other(rig: Rig):
    rig.birth("old")
    rig.result("old", 1)
    rig.result("new", 1)
    rig.birth("old")
    rig.carrier.turn()
    assert rig.ear.acks["old"][-1].upto == {"results": 1, "events": 0, "evidence": 0}
    assert rig.ear.acks["new"][-1].upto == {"results": 1}
    assert [row.upto for row in rig.ledger.positions("hall", "old", "log-old")] == [1]


def test_many_new_streams_in_one_commit_keep_their_own_numbers(rig: Rig):
    for n in range(HERD):
        for seq in range(1, 1 + n % 3 + 1):
            rig.result(f"a{n}", seq)
    rig.carrier.turn()
    for n in range(HERD):
        assert [row.upto for row in rig.ledger.positions("hall", f"a{n}", f"log-a{n}")] == [n % 3 + 1]
    rig.result("a5", 4)
    rig.carrier.turn()
    assert rig.ear.acks["a5"][-1].upto == {"results": 4}


def test_where_agents_cannot_be_saved_results_still_are(rig: Rig):
    with rig.ledger.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE agents")
    rig.birth("a")
    rig.result("a", 1)
    rig.carrier.turn()
    assert "STORE_FAILED" in rig.said
    assert rig.ear.acks["a"][-1].upto["results"] == 1
