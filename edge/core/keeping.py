"""The ledger's answers as events: what the records of a turn become in one commit, and whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge.domain import KINDS, Kind
from edge.events_fleet import Keep, Kept, ReadUpto
from edge.ports import Batch, Upto


def batches_of(site: str, keeps: Sequence[Keep], received_utc_ms: int) -> list[Batch]:
    """What to commit, in order."""
    return [
        Batch(site, keep.agent, keep.log, keep.kind, keep.first_seq, keep.records, received_utc_ms) for keep in keeps
    ]


def kept_of(uptos: Iterable[Upto]) -> list[Kept]:
    """What to say after a commit: one word to each log that was touched."""
    by_log: dict[tuple[str, str], dict[Kind, int]] = {}
    for upto in uptos:
        by_log.setdefault((upto.agent, upto.log), {})[upto.kind] = upto.upto
    return [Kept(agent, log, kinds) for (agent, log), kinds in by_log.items()]


def positions_of(asked: ReadUpto, rows: Iterable[Upto]) -> Kept:
    """What to say to a birth: every kind, 0 where the ledger has none."""
    upto: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    upto |= {row.kind: row.upto for row in rows}
    return Kept(asked.agent, asked.log, upto)
