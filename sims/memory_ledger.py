"""The ledger in memory, for a fleet in virtual time. It passes the contract tests of the SQL one.

It runs the same arithmetic (:mod:`edge.core.ingest`) and keeps rows in a dictionary, so it can lie about durability
only in the way the real one cannot: :meth:`MemoryLedger.fail_next` makes the next commits fail and keep nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.core.ingest import Stream, StreamKey, plan
from edge.domain import Kind, SeqRange
from edge.errors import StoreError
from edge.events_fleet import AgentKnown
from edge.messages import Desired, Record
from edge.ports import Batch, Upto


class MemoryLedger:
    """A :class:`edge.ports.Ledger` that forgets everything with the process."""

    def __init__(self, ledger_id: str = "memory") -> None:
        self.ledger_id = ledger_id
        self.malformed = 0
        self.rows: dict[tuple[StreamKey, int], Record | None] = {}
        self._streams: dict[StreamKey, Stream] = {}
        self._gaps: dict[StreamKey, set[SeqRange]] = {}
        self._desired: dict[tuple[str, str], Desired] = {}
        self._agents: dict[tuple[str, str], AgentKnown] = {}
        self._failing: list[StoreError] = []

    def fail_next(self, error: StoreError, times: int = 1) -> None:
        """The next ``times`` commits raise ``error`` and keep nothing."""
        self._failing.extend([error] * times)

    def commit(self, batches: Sequence[Batch]) -> list[Upto]:
        if not batches:
            return []
        if self._failing:
            raise self._failing.pop(0)
        out = plan(self._streams, batches)
        self._streams = out.streams
        for row in out.rows:
            self.rows.setdefault((row.key, row.seq), row.record)
        for key, gap in out.gaps:
            self._gaps.setdefault(key, set()).add(SeqRange(gap.first, gap.last))
        self.malformed += out.malformed
        return [Upto(*key, out.streams[key].upto) for key in out.touched]

    def positions(self, site: str, agent: str, log: str) -> list[Upto]:
        return [Upto(*key, stream.upto) for key, stream in self._streams.items() if key[:3] == (site, agent, log)]

    def gaps(self, site: str, agent: str, log: str, kind: Kind) -> list[SeqRange]:
        return sorted(self._gaps.get((site, agent, log, kind), ()))

    def save_desired(self, site: str, agent: str, desired: Desired) -> None:
        self._desired[site, agent] = desired

    def load_desired(self, site: str) -> dict[str, Desired]:
        return {agent: desired for (of, agent), desired in self._desired.items() if of == site}

    def save_agent(self, site: str, agent: str, known: AgentKnown) -> None:
        self._agents[site, agent] = known

    def load_agents(self, site: str) -> dict[str, AgentKnown]:
        return {agent: known for (of, agent), known in self._agents.items() if of == site}
