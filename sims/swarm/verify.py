"""Every record the swarm journalled beside every row of the ledger, read through the coordinator's HTTP API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edge.cli.http_client import Client
from edge.domain import KINDS, Kind
from sims.swarm.figures import Compared
from sims.swarm.plan import Stand

Row = tuple[str, int, tuple[int, int] | None]
"""(log, seq, (boot_no, part_id) where the row is a part's)."""


def compare(
    stands: Iterable[Stand], rows: Mapping[Kind, Iterable[Row]], gaps: dict[tuple[str, Kind], set[int]]
) -> Compared:
    """Count. Rows of logs that are not ours are others' business."""
    heads = {(stand.log, kind): head for stand in stands for kind, head in stand.heads.items()}
    logs = {log for log, _ in heads}
    lost = doubled = in_ledger = 0
    for kind in KINDS:
        seen: dict[str, set[int]] = {}
        parts: set[tuple[str, tuple[int, int]]] = set()
        for log, seq, part in rows.get(kind, ()):
            if log not in logs:
                continue
            in_ledger += 1
            numbers = seen.setdefault(log, set())
            doubled += seq in numbers or (part is not None and (log, part) in parts)
            numbers.add(seq)
            if part is not None:
                parts.add((log, part))
        for log in logs:
            _, acked = heads[log, kind]
            there = seen.get(log, set()) | gaps.get((log, kind), set())
            lost += sum(seq not in there for seq in range(1, acked + 1))
    records = sum(last for last, _ in heads.values())
    return Compared(records, in_ledger, lost, doubled, sum(map(len, gaps.values())))


def read(client: Client, since_utc_ms: int) -> tuple[dict[Kind, list[Row]], dict[tuple[str, Kind], set[int]]]:
    """All rows since then, and all gaps. Raises LinkError, RefusedError."""
    rows: dict[Kind, list[Row]] = {}
    gaps: dict[tuple[str, Kind], set[int]] = {}
    for kind in KINDS:
        found: list[Row] = []
        for row in _pages(client, kind, since_utc_ms):
            part = (int(row["boot_no"]), int(row["part_id"])) if kind == "results" else None
            found.append((row["log"], int(row["seq"]), part))
            if row.get("code") == "RECORDS_GONE":
                told = row["data"] if isinstance(row["data"], dict) else json.loads(row["data"])
                numbers = range(int(told["first"]), int(told["last"]) + 1)
                gaps.setdefault((row["log"], told["kind"]), set()).update(numbers)
        rows[kind] = found
    return rows, gaps


def _pages(client: Client, kind: str, since_utc_ms: int) -> Iterator[dict[str, Any]]:
    # Oldest first: rows that come meanwhile are at the end, and nothing is told twice.
    return client.pages(f"/v1/{kind}", kind, since=str(since_utc_ms), order="oldest")
