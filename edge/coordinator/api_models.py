"""The shapes of the HTTP API, for its OpenAPI document. Times are UTC milliseconds, pixels of the full frame."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

Scalar = bool | int | float | str


class ErrorBody(BaseModel):
    """``code`` is a stable word; ``what`` a sentence."""

    code: str
    what: str


class ErrorOut(BaseModel):
    """Every answer that is not a success."""

    error: ErrorBody


class ModelOut(BaseModel):
    """Which model spoke."""

    name: str
    version: str
    sha256: str


class DifferenceOut(BaseModel):
    """A setting that is not what was wanted."""

    name: str
    wanted: Scalar | None = None
    has: Scalar | None = None


class AgentOut(BaseModel):
    """One agent. ``settings`` says none, waiting, applied or refused (then ``code`` and ``what`` say why)."""

    agent: str
    status: str
    since_utc_ms: int
    seen_utc_ms: int
    ready: bool
    why_not: list[str]
    paused: bool
    recipe: str
    log: str
    boot_no: int
    conn_no: int
    versions: dict[str, str]
    devices: dict[str, str]
    model: ModelOut | None = None
    capabilities: list[str]
    counters: dict[str, int]
    gauges: dict[str, float]
    metrics_utc_ms: int
    desired_rev: int
    desired: dict[str, Scalar]
    reported_rev: int
    reported: dict[str, Scalar]
    settings: str
    code: str
    what: str
    differs: list[DifferenceOut]


class FleetOut(BaseModel):
    """The whole fleet, and the coordinator's own counters."""

    site: str
    ledger: str
    connected: bool
    why_not: list[str]
    utc_ms: int
    agents: list[AgentOut]
    counters: dict[str, int]


class SettingsIn(BaseModel):
    """Settings wanted of an agent; with PATCH a null removes one."""

    settings: dict[str, Scalar | None] = Field(max_length=200)


class SettingsOut(BaseModel):
    """The revision that now is wanted; whether it was applied or refused shows in the fleet."""

    agent: str
    rev: int


class AskIn(BaseModel):
    """``op``: ping, snapshot, pause, resume, restart, or what else the agent's capabilities name."""

    op: str = Field(min_length=1, max_length=64)
    args: dict[str, Scalar] = Field(default_factory=dict, max_length=50)
    ttl_s: float = Field(default=10.0, ge=0.1, le=300.0)


class ReplyOut(BaseModel):
    """What the agent answered."""

    id: str
    ok: bool
    code: str
    what: str
    body: dict[str, Scalar]


class RowOut(BaseModel):
    """What every record of the ledger has: its key ``(site, agent, log, seq)`` and a row ``id`` for paging."""

    id: int
    site: str
    agent: str
    log: str
    seq: int
    utc_ms: int
    received_utc_ms: int


class FindingOut(BaseModel):
    """One thing a model found; ``xyxy`` is left, top, right, bottom in px."""

    label: str
    score: float
    xyxy: list[float]
    area_px: float = 0.0
    area_mm2: float | None = None
    zone: str | None = None
    text: str = ""


class ReasonOut(BaseModel):
    """Why a verdict is what it is."""

    rule: str
    label: str = ""
    seen: float = 0.0
    limit: float = 0.0
    text: str = ""
    wanted: str = ""


class ViewOut(BaseModel):
    """What one of several cameras gave to a part's verdict."""

    source: str
    frames: int = 0
    frame_no: int = 0
    findings: int = 0


class ResultOut(RowOut):
    """One verdict. ``values`` are named numbers the model gave; ``views`` is empty where one camera looks at a part."""

    decision: str
    source: str
    frame_no: int
    part_id: int
    boot_no: int
    part_no: int | None = None
    encoder: int | None = None
    recipe: str
    settings_rev: int
    model_name: str | None = None
    model_version: str | None = None
    model_sha256: str | None = None
    clock_trusted: bool
    reasons: list[ReasonOut]
    findings: list[FindingOut]
    latency_ms: dict[str, float]
    values: dict[str, float]
    views: list[ViewOut]


class EventOut(RowOut):
    """One event; RECORDS_GONE is an agent's word that some records will never come."""

    code: str
    level: str
    text: str
    data: dict[str, Any]


class EvidenceOut(RowOut):
    """One picture, at ``/v1/evidence/{id}.jpg``."""

    source: str
    frame_no: int
    part_id: int
    boot_no: int
    part_no: int | None = None
    decision: str
    why: str
    ask_id: str
    width_px: int
    height_px: int
    overlay: bool
    size_bytes: int


class ResultsPage(BaseModel):
    """Results, and the cursor of the next page (null at the end)."""

    results: list[ResultOut]
    next_cursor: int | None = None


class EventsPage(BaseModel):
    """Events, and the cursor of the next page (null at the end)."""

    events: list[EventOut]
    next_cursor: int | None = None


class EvidencePage(BaseModel):
    """Pictures, and the cursor of the next page (null at the end)."""

    evidence: list[EvidenceOut]
    next_cursor: int | None = None


class HealthOut(BaseModel):
    """Whether results are being taken, and if not, why not."""

    ready: bool
    why_not: list[str]
    site: str
    ledger: str
