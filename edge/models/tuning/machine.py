"""What a measurement holds for: this processor, so many cores, these versions."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from msgspec import Struct

from edge.models.runtime import ort
from edge.models.tuning.openvino import installed

_CPUINFO = Path("/proc/cpuinfo")
_MAX_CHARS = 16_384
"""Of one processor's entry; all of them say the same of a machine's ability."""

FLAGS = (
    "avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "fma", "f16c",
    "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2", "fphp", "asimdhp",
)  # fmt: skip
"""What decides how fast multiplications of which type are; ARM's from "asimd" on (Linux, ELF hwcaps of arm64)."""
INT8 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""With one of these, products of 8-bit numbers are summed in one instruction."""


class Machine(Struct, frozen=True, kw_only=True):
    """``cpu`` as the kernel calls it, ``flags`` those of :data:`FLAGS` it has, ``cores`` that this process may use.
    ``runtime`` and ``openvino`` are versions ('' where it is not installed).
    """

    cpu: str
    flags: tuple[str, ...]
    cores: int
    runtime: str
    openvino: str = ""

    @property
    def multiplies_int8(self) -> bool:
        """Whether it has instructions that make int8 worth while."""
        return not INT8.isdisjoint(self.flags)


def this_machine(cpuinfo: Path = _CPUINFO) -> Machine:
    """Look. Where there is no ``/proc/cpuinfo`` the flags stay empty."""
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_CHARS)
    except OSError:
        text = ""
    values = dict(_pair(line) for line in text.partition("\n\n")[0].splitlines() if ":" in line)
    cpu = values.get("model name") or _arm(values) or platform.processor() or platform.machine()
    has = set((values.get("flags") or values.get("Features") or "").split())
    return Machine(
        cpu=cpu, flags=tuple(f for f in FLAGS if f in has), cores=cores(), runtime=ort.__version__, openvino=installed()
    )


def cores() -> int:
    """Cores that this process may run on, which in a container or under taskset are fewer than there are."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.strip(), value.strip()


def _arm(values: dict[str, str]) -> str:
    """ARM's kernel names no model: the numbers of its maker do as well."""
    part = values.get("CPU part")
    return f"ARM implementer {values.get('CPU implementer', '?')} part {part}" if part else ""
