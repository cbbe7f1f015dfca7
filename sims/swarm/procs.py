"""CPU and memory of processes and of the machine, from Linux's /proc; None where there is none."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)
"""Columns of /proc/stat's first line: idle, iowait."""


class Sample(Struct, frozen=True):
    """CPU seconds so far by name (several processes of one name are summed), and of the whole machine."""

    at_s: float
    cpu_s: dict[str, float]
    busy_s: float


def cpu_s(pid: int | None) -> float | None:
    """User and system time of all threads of a process so far."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return None if len(fields) < 13 else (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mb(pid: int | None) -> float | None:
    """Resident memory of a process."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return None


def busy_s() -> float:
    """CPU seconds that the machine's cores were busy with anything; 0 where it cannot be known."""
    fields = [int(field) for field in _read("/proc/stat").partition("\n")[0].split()[1:9]]
    return sum(ticks for n, ticks in enumerate(fields) if n not in _IDLE) / _TICKS_PER_S


def sample(at_s: float, pids: dict[str, list[int]]) -> Sample:
    """Now, of these processes."""
    seconds = {name: [cpu_s(pid) for pid in many] for name, many in pids.items()}
    known = {name: sum(one for one in many if one is not None) for name, many in seconds.items() if any(many)}
    return Sample(at_s, known, busy_s())


def cores(before: Sample, after: Sample) -> dict[str, float]:
    """Cores that each used between two samples, and what ``others`` on this machine used."""
    span_s = max(1e-3, after.at_s - before.at_s)
    used = {name: round((cpu - before.cpu_s.get(name, 0.0)) / span_s, 2) for name, cpu in after.cpu_s.items()}
    if after.busy_s:
        used["others"] = round(max(0.0, (after.busy_s - before.busy_s) / span_s - sum(used.values())), 2)
    return used


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""
