"""What a simulated cell left behind, in the words of the score: rows, streams, pictures."""

from __future__ import annotations

from collections.abc import Iterable

from edge.domain import KINDS, SeqRange
from edge.messages import Evidence, Result
from sims.live_config import SITE
from sims.memory_ledger import MemoryLedger
from sims.score_model import Row, StreamState
from sims.story import Kept, Left
from sims.virtual.machine import AgentMachine


def left_by(agent: AgentMachine, ledger: MemoryLedger) -> Left:
    """One agent's share of the ledger, and its journal."""
    rows: list[Row] = []
    evidence: dict[tuple[int, int], Kept] = {}
    held: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for ((_, name, log, kind), seq), record in ledger.rows.items():
        if name != agent.name:
            continue
        held[kind].append(seq)
        if isinstance(record, Result):
            r = record
            rows.append(Row(log, seq, r.decision, r.utc_ms, r.frame_no, r.part_id, r.boot_no, r.part_no, r.findings))
        elif isinstance(record, Evidence) and record.part_id:
            e = record
            evidence[e.boot_no, e.part_id] = Kept(e.part_id, e.boot_no, e.part_no, e.decision, e.why, e.jpeg)
    return Left(rows, [_stream(agent, ledger, kind, held[kind]) for kind in KINDS], evidence)


def _stream(agent: AgentMachine, ledger: MemoryLedger, kind: str, seqs: list[int]) -> StreamState:
    head = agent.journal.heads()[kind]  # type: ignore[index]
    first = max(head.first, head.acked + 1)
    kept = SeqRange(first, head.last) if first <= head.last else None
    gaps = tuple(ledger.gaps(SITE, agent.name, agent.journal.log, kind))  # type: ignore[arg-type]
    return StreamState(agent.journal.log, kind, head.last, tuple(ranges(seqs)), gaps, len(seqs), kept)


def ranges(numbers: Iterable[int]) -> list[SeqRange]:
    """Numbers as ranges, ascending."""
    found: list[SeqRange] = []
    for number in sorted(numbers):
        if found and found[-1].last + 1 == number:
            found[-1] = SeqRange(found[-1].first, number)
        else:
            found.append(SeqRange(number, number))
    return found
