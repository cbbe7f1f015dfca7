"""What ``jidoka model bench`` chose for a model on this machine, kept for whoever runs it next.

One JSON file a model (by the sha256 of the bundle's original) beside the guard's results. It holds only for the machine
and the versions it was measured with; elsewhere it is said to be void, and the usual way is taken.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from edge.errors import StoreError
from edge.models.guard import cache_folder
from edge.models.tuning.machine import Machine
from edge.models.tuning.way import Way

MAX_BYTES = 64 * 1024


class Figures(Struct, frozen=True, kw_only=True):
    """What was measured: frames a second, milliseconds of the model alone, milliseconds of CPU a frame, MB beside an
    empty process; ``ratio`` to the usual way.
    """

    fps: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    memory_mb: float
    ratio: float


class Profile(Struct, frozen=True, kw_only=True):
    """``variant`` is '' for the original. ``latency_ms`` is the limit it was chosen under, if any."""

    schema: Literal[1] = 1
    sha256: str
    variant: str = ""
    variant_sha256: str = ""
    way: Way
    machine: Machine
    figures: Figures
    latency_ms: float | None = None
    measured_utc: str = ""

    def differs(self, here: Machine) -> str:
        """In words what is another than when it was measured; '' where nothing is. OpenVINO's version only counts where
        it was chosen.
        """
        then = self.machine
        if then.cpu != here.cpu or then.flags != here.flags:
            return f"it was measured on {then.cpu}, this is {here.cpu}" + (
                "" if then.cpu != here.cpu else " with other instructions"
            )
        if then.cores != here.cores:
            return f"it was measured with {then.cores} cores, here are {here.cores}"
        if then.runtime != here.runtime:
            return f"it was measured with ONNX Runtime {then.runtime}, this is {here.runtime}"
        if self.way.engine == "openvino" and then.openvino != here.openvino:
            return f"it was measured with OpenVINO {then.openvino}, " + (
                f"this is {here.openvino}" if here.openvino else "which is not installed"
            )
        return ""


def folder(cache: Path | None = None) -> Path:
    """Where profiles are: the neighbour of the guard's results."""
    return (cache or cache_folder()).with_name("profiles")


def recall(sha256: str, cache: Path | None = None) -> Profile | None:
    """The profile of a model. A damaged or foreign file is as good as none."""
    path = folder(cache) / f"{sha256}.json"
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        return msgspec.json.decode(path.read_bytes(), type=Profile)
    except (OSError, msgspec.DecodeError):
        return None


def keep(profile: Profile, cache: Path | None = None) -> Path:
    """Write it, whole or not at all. Raises StoreError PROFILE_UNWRITABLE."""
    path = folder(cache) / f"{profile.sha256}.json"
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_bytes(msgspec.json.format(msgspec.json.encode(profile), indent=1))
        part.replace(path)
    except OSError as error:
        what = f"the profile cannot be kept in {path.parent}"
        raise StoreError("PROFILE_UNWRITABLE", what, str(error), "set JIDOKA_CACHE_DIR") from error
    return path
