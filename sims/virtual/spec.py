"""``[virtual]`` of a line's scenario: what takes how long when time is a number. Live runs do not look at it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sims.virtual.delays import BusSpec, DelaySpec
from sims.virtual.site import LedgerSpec
from sims.virtual.storage import DiskSpec


class VirtualSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """``start_ms``: from the start of an agent to its first word, as its model is loaded and warmed up. The agent's quartz
    gains ``drift_ppm``. ``net`` is a map of :mod:`sims.virtual.net_maps`. ``sight = "stated"`` runs without pixels (:mod:`sims.virtual.stated`).
    """

    delays: DelaySpec = DelaySpec()
    bus: BusSpec = BusSpec()
    disk: DiskSpec = DiskSpec()
    ledger: LedgerSpec = LedgerSpec()
    net: Literal["perfect", "plant", "satellite", "4g"] = "perfect"
    sight: Literal["rendered", "stated"] = "rendered"
    start_ms: Annotated[float, Meta(ge=0.0, le=600_000.0)] = 900.0
    drift_ppm: Annotated[float, Meta(ge=-500.0, le=500.0)] = 15.0
