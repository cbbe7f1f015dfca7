"""What a swarm's run found: the document of ``--json``, and the rules that say whether it is good."""

from __future__ import annotations

from array import array

from msgspec import Struct


class Spread(Struct, frozen=True):
    """Of so many values, in ms; None where there are none."""

    n: int
    p50: float | None = None
    p95: float | None = None
    max: float | None = None


class StepReport(Struct, frozen=True):
    """One load, held for a while. ``rate`` is results a second and agent as wanted, ``per_s`` of all together as it was.
    ``lag_ms``: from an agent's journal to the ledger's word that it has it, at the agent. ``behind_ms``: how late the swarm
    itself was with its parts. ``cores``: CPU used by each, and by ``others`` on this machine. ``why`` it broke, or empty.
    """

    agents: int
    rate: float
    seconds: float
    results: int
    per_s: float
    lag_ms: Spread
    behind_ms: Spread
    unacknowledged: int
    cores: dict[str, float]
    ok: bool
    why: str = ""


class Asked(Struct, frozen=True):
    """Asks (ping) and settings sent through the coordinator, and what came back."""

    asks: int = 0
    answered: int = 0
    ask_ms: Spread = Spread(0)
    settings: int = 0
    applied: int = 0
    failed: int = 0
    error: str = ""


class Compared(Struct, frozen=True):
    """Journals beside the ledger, read through the coordinator. ``lost``: acknowledged, and neither in the ledger nor in a
    gap. ``doubled``: there twice, by number or by part.
    """

    records: int
    in_ledger: int
    lost: int
    doubled: int
    gaps: int


class SwarmReport(Struct, frozen=True):
    """The whole run. ``lost``, ``doubled`` are None where no coordinator could be asked for its ledger. ``broke``: the first
    step of a ramp that missed the limit.
    """

    ok: bool
    agents: int
    processes: int
    seed: int
    broker: str
    coordinator: str
    journals: str
    online: int
    connect_s: float
    results: int
    records: dict[str, int]
    unacknowledged: int
    lost: int | None
    doubled: int | None
    gaps: int | None
    lag_ms: Spread
    limit_ms: float
    steps: tuple[StepReport, ...]
    broke: StepReport | None
    asked: Asked
    counters: dict[str, int]
    memory_mb: dict[str, float]
    load: tuple[float, float]
    stopped: int
    missed: tuple[str, ...]
    errors: tuple[str, ...]
    interrupted: bool = False


def spread(values: array[float]) -> Spread:
    """Quantiles."""
    if not values:
        return Spread(0)
    ordered = sorted(values)
    last = len(ordered) - 1
    at = [ordered[min(last, int(len(ordered) * share))] for share in (0.5, 0.95, 1.0)]
    return Spread(len(ordered), *(round(value, 1) for value in at))


def why_slow(step: StepReport, processors: int, *, limit_ms: float, connects_again: int = 0) -> str:
    """Where a load that missed the limit was stuck, as far as lost connections and CPU time tell."""
    used = step.cores
    late = step.behind_ms.p95 or 0.0
    total = sum(used.values())
    full = [
        f"{name} used {share:g} of a core" for name, share in sorted(used.items()) if share >= 0.85 and name != "others"
    ]
    parts = [f"{connects_again} connections were lost and made again" if connects_again > 0 else ""]
    parts += [f"the swarm itself was {late:.0f} ms late with its parts" if late > limit_ms / 4 else ""]
    parts += full
    if total >= 0.9 * processors:
        others = used.get("others", 0.0)
        parts.append(f"{total:.1f} of {processors} cores were busy, {others:.1f} of them with others")
    found = [part for part in parts if part]
    return "; ".join(found) if found else "no CPU was full: disk or network"
