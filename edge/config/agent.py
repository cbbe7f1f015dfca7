"""The settings of one agent (``agent.toml``), as frozen structs with ranges.

Fields marked ``REMOTE`` may also be set by the coordinator through ``desired``; no other can, and never a path, a
driver or a safe state.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from edge.domain import ID_PATTERN

REMOTE: dict[str, Any] = {"remote": True}
"""``Meta(extra=REMOTE)`` declares a setting that the coordinator may change."""

Id = Annotated[str, Meta(pattern=rf"^{ID_PATTERN.pattern}$", description="letters, digits, . _ -; at most 64")]
Host = Annotated[str, Meta(pattern=r"^([^\s/:]+|[^\s/]*:[^\s/]*:[^\s/]*)$", description="a name or an address alone")]
"""No scheme and no port; two colons and more are IPv6."""
Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Milliseconds = Annotated[float, Meta(gt=0, le=600_000)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """Who this agent is, and where it keeps what it must not lose."""

    id: Id
    site: Id = "site"
    data_dir: str = "data"


class SourceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A camera or file. ``deliver``: ``newest`` skips frames when inference is slower, ``every`` queues up to 8."""

    driver: Id
    options: dict[str, Any] = {}
    trigger: Literal["free", "plc"] = "free"
    deliver: Literal["newest", "every"] = "newest"
    max_fps: Annotated[float, Meta(ge=0, le=1000, extra=REMOTE)] = 0.0
    timeout_s: Seconds = 2.0
    mm_per_px: Annotated[float, Meta(gt=0, le=100)] | None = None


class ModelConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle or bare ``.onnx``, and how many threads run it on one shared session. ``auto`` is what `jidoka model bench`
    found best on this machine, and where that was not asked or holds no more, one thread of the original. ``variant`` is
    ``auto``, ``original`` or the name of one of the bundle's.
    """

    path: str
    workers: Annotated[int, Meta(ge=1, le=64)] | Literal["auto"] = "auto"
    variant: Annotated[str, Meta(min_length=1, max_length=32)] = "auto"
    min_score: Share | None = None
    max_memory_mb: Annotated[int, Meta(ge=64, le=65536)] = 4096


class GuardConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model may be before it is let run here (see the guide on what is refused). ``operators`` are allowed
    besides the usual ones: ``Op``, ``domain:Op`` or ``domain:*``; ``cpu_s`` is of the trial, 0 goes by the model's size;
    ``max_trips`` is of loops, 0 lets them turn for ever.
    """

    operators: Annotated[tuple[Annotated[str, Meta(max_length=256)], ...], Meta(max_length=256)] = ()
    max_nodes: Annotated[int, Meta(ge=1, le=100_000)] = 20_000
    max_if_depth: Annotated[int, Meta(ge=0, le=16)] = 4
    max_trips: Annotated[int, Meta(ge=0)] = 100_000
    cpu_s: Annotated[int, Meta(ge=0, le=3600)] = 0
    liveness: bool = True


class SensorConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Sensors that are read together ``rate_hz`` times a second, as windows for a series model (left out: that of
    ``[model]``). ``channels``: a channel of the model is called so in the readings, where the names differ. ``policy``
    where it is not that of ``[policy]``.
    """

    driver: Id
    rate_hz: Annotated[float, Meta(gt=0, le=2000)]
    options: dict[str, Any] = {}
    channels: dict[str, str] = {}
    model: ModelConfig | None = None
    policy: dict[str, Any] | None = None
    timeout_s: Seconds = 1.0


class DeviceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A PLC or other device."""

    driver: Id
    options: dict[str, Any] = {}


class RecipeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What one part type needs; what is left out is as for every part. ``part_type`` is the PLC's recipe number."""

    part_type: Annotated[int, Meta(ge=0, le=65535)] | None = None
    model: ModelConfig | None = None
    policy: dict[str, Any] | None = None
    region_px: tuple[int, int, int, int] | None = None


class PlcConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How parts are triggered and verdicts handed over (see the guide's page on the PLC)."""

    device: Id = "plc"
    source: Id = "camera"
    views: tuple[Id, ...] = ()
    """Further cameras that look at the same part at the same trigger; one verdict is made of all of them."""
    mode: Literal["handshake", "coil"] = "handshake"
    gate: Literal["plc", "agent"] = "plc"
    no_verdict: Literal["reject", "stop", "pass"] = "reject"
    unsure: Literal["reject", "pass"] = "reject"
    poll_ms: Milliseconds = 4.0
    heartbeat_ms: Milliseconds = 100.0
    deadline_ms: Milliseconds = 400.0
    capture_within_ms: Milliseconds = 150.0
    """A picture taken later than this after its trigger may show the next part: it gives no verdict."""
    stale_counts: Annotated[int, Meta(ge=0)] = 400
    gate_counts: Annotated[int, Meta(ge=0)] = 0
    gate_lead_ms: Annotated[float, Meta(ge=0, le=10_000)] = 5.0
    pulse_ms: Annotated[int, Meta(ge=1, le=10_000)] = 80


class StopConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Stop the line after ``consecutive`` rejects, or ``m`` among the last ``k``; 0 is never."""

    consecutive: Annotated[int, Meta(ge=0, le=10_000, extra=REMOTE)] = 0
    m: Annotated[int, Meta(ge=0, le=10_000, extra=REMOTE)] = 0
    k: Annotated[int, Meta(ge=0, le=10_000, extra=REMOTE)] = 0


class TlsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Certificates as PEM files."""

    ca: str
    cert: str | None = None
    key: str | None = None


class LinkConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The broker. Without ``[link]`` the agent works alone and keeps its journal."""

    host: Host = "127.0.0.1"
    port: Port = 1883
    keepalive_s: Annotated[int, Meta(ge=1, le=600)] = 5
    tls: TlsConfig | None = None
    username: str | None = None
    password_file: str | None = None
    command_key_file: str | None = None


class JournalConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The bounded memory on disk."""

    max_mb: Annotated[int, Meta(ge=4, le=1_000_000)] = 1024
    critical_full: Literal["evict_oldest", "stop_line"] = "evict_oldest"


class EvidenceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Which pictures are kept: of which decisions, and every n-th good one (0 is none)."""

    keep: tuple[Literal["fail", "unsure", "pass"], ...] = ("fail", "unsure")
    sample_every_n: Annotated[int, Meta(ge=0, extra=REMOTE)] = 0
    max_fps: Annotated[float, Meta(gt=0, le=100, extra=REMOTE)] = 5.0
    overlay: bool = True
    jpeg_quality: Annotated[int, Meta(ge=30, le=100)] = 85
    max_width_px: Annotated[int, Meta(ge=64, le=8192)] = 1280


class PageConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The agent's own read-only page on loopback. Port 0 takes a free one."""

    enabled: bool = True
    port: Port = 0


class AgentConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``agent.toml``."""

    agent: Identity
    model: ModelConfig
    guard: GuardConfig = GuardConfig()
    sources: dict[Id, SourceConfig] = {}
    sensors: dict[Id, SensorConfig] = {}
    devices: dict[Id, DeviceConfig] = {}
    policy: dict[str, Any] = {}
    recipes: dict[Id, RecipeConfig] = {}
    plc: PlcConfig | None = None
    zones: dict[Id, Annotated[tuple[tuple[float, float], ...], Meta(min_length=3)]] = {}
    """Named polygons, corners (x, y) in frame pixels, for rules that look only there."""
    stop: StopConfig = StopConfig()
    link: LinkConfig | None = None
    journal: JournalConfig = JournalConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    page: PageConfig = PageConfig()
