"""The ledger in memory, for a fleet in virtual time. It passes the contract tests of the SQL one.

It runs the same arithmetic (:mod:`edge.core.ingest`) and keeps rows in a dictionary, so it can lie about durability
only in the way the real one cannot: :meth:`MemoryLedger.fail_next` makes the next commits fail and keep nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from edge.core.ingest import Stream, StreamKey, plan
from edge.domain import KINDS, Kind, SeqRange
from edge.errors import StoreError
from edge.events_fleet import AgentKnown
from edge.messages import Desired, Event, Record, Result
from edge.ports import Batch, Upto

MOST_MARKED = 1 << 24
"""A number that no simulated agent comes to."""


class MemoryLedger:
    """A :class:`edge.ports.Ledger` that forgets everything with the process."""

    def __init__(self, ledger_id: str = "memory", *, keep_rows: bool = True, marks: bool = False) -> None:
        """``keep_rows``: without, only one bit a row is, for fleets whose results nobody wants to read; ``marks``: those
        bits also where rows are kept.
        """
        self.ledger_id = ledger_id
        self.malformed = 0
        self.commits = 0
        self.records_in = 0
        """All records that came, also those that were there already."""
        self.rows: dict[tuple[StreamKey, int], Record | None] = {}
        self.marked: dict[StreamKey, int] = {}
        """Which rows each stream has, one bit a number, where the rows themselves are not kept."""
        self.lags_ms: Counter[int] = Counter()
        """From a result's own label to its commit, of rows that are not kept."""
        self.codes: Counter[str] = Counter()
        """Events by their code, of rows that are not kept."""
        self.heed: Callable[[Result], None] | None = None
        """Told of each new result that says ``unsure``, where rows are not kept."""
        self._keep_rows = keep_rows
        self._marks = marks or not keep_rows
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
        streams = self._streams
        # only what these batches can touch: a gap in one kind explains another of the same log
        keys: dict[StreamKey, None] = {(b.site, b.agent, b.log, kind): None for b in batches for kind in KINDS}
        known = {key: streams[key] for key in keys if key in streams}
        out = plan(known, batches)
        if self._keep_rows:
            for row in out.rows:
                self.rows.setdefault((row.key, row.seq), row.record)
        if self._marks:
            marked = self.marked
            new = [row for row in out.rows if not marked.get(row.key, 0) >> row.seq & 1]
            self._mark(batches)
            now_utc_ms = max(batch.received_utc_ms for batch in batches)
            self.lags_ms.update(now_utc_ms - row.record.utc_ms for row in new if isinstance(row.record, Result))
            self._tell(row.record for row in new)
        streams.update(out.streams)
        for key, gap in out.gaps:
            self._gaps.setdefault(key, set()).add(SeqRange(gap.first, gap.last))
        self.malformed += out.malformed
        self.commits += 1
        self.records_in += sum(len(batch.records) for batch in batches)
        return [Upto(*key, out.streams[key].upto) for key in out.touched]

    def positions(self, site: str, agent: str, log: str) -> list[Upto]:
        keys: list[StreamKey] = [(site, agent, log, kind) for kind in KINDS]
        return [Upto(*key, self._streams[key].upto) for key in keys if key in self._streams]

    def streams(self) -> dict[StreamKey, Stream]:
        """Every stream as it stands."""
        return dict(self._streams)

    def _tell(self, records: Iterable[Record | None]) -> None:
        for record in records:
            if isinstance(record, Event):
                self.codes[record.code] += 1
            elif isinstance(record, Result) and record.decision == "unsure" and self.heed is not None:
                self.heed(record)

    def _mark(self, batches: Sequence[Batch]) -> None:
        """One bit a row, set by its number alone: a check on :func:`plan` that shares nothing with it."""
        for batch in batches:
            key: StreamKey = (batch.site, batch.agent, batch.log, batch.kind)
            if 1 <= batch.first_seq <= MOST_MARKED:
                marks = ((1 << len(batch.records)) - 1) << batch.first_seq
                self.marked[key] = self.marked.get(key, 0) | marks

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
