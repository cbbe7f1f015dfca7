"""A scenario file: the whole run in TOML. Strict: unknown keys and impossible values are refused with their line.

::

    [scenario]  name, about, seed, parts      [belt] [lamp] [product] [plc] [camera]   the line
    [model]     bundle, policy                [agent]                                  what is put into agent.toml
    [link]      broker                        [[faults]] kind, at_s, for_s             what goes wrong
    [virtual]   delays, bus, disk, ledger                                              what takes how long with --virtual
    [goals]     escapes = 1, p99_ms = 200 …                                            what must hold at the end
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict, fields, replace

from edge.config import Locator, checked, parse_toml, read_toml
from edge.errors import ConfigError
from sims.faults import Fault, overlapping
from sims.parts import KINDS, DefectKind, Part, make_parts
from sims.plc import PlcSpec
from sims.virtual.spec import VirtualSpec
from sims.world import Belt, Lamp

FOLDER = Path(__file__).parent / "scenarios"
BUNDLES = Path(__file__).parent / "bundles"
BUILTIN = "builtin:"

Count = Annotated[int, Meta(ge=0)]
Number = Annotated[float, Meta(ge=0.0)]


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """What this run is. ``parts`` come down the belt; the run ends when the last has left it."""

    name: Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$")]
    parts: Annotated[int, Meta(ge=1, le=60_000)]
    about: str = ""
    seed: Count = 1
    title: str = ""
    """For people, where ``name`` is for files."""
    promise: str = ""
    """What must hold, in a sentence; the goals say it in figures."""


class Product(Struct, frozen=True, forbid_unknown_fields=True):
    """What is made: the share of parts with defects, how bad they are, and of which kinds."""

    defect_rate: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    severity: Annotated[float, Meta(gt=0.0, le=10.0)] = 1.0
    kinds: Annotated[tuple[DefectKind, ...], Meta(min_length=1)] = KINDS
    new_from_part: Count = 0
    """From this part on (counted from 1; 0: none) the plates are another supplier's, brushed ``new_finish`` times as rough."""
    new_finish: Annotated[float, Meta(ge=0.0, le=10.0)] = 1.0


class CameraSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Picture and pace. The field of view is ``width_px * mm_per_px`` wide, its middle on the camera's axis."""

    width_px: Annotated[int, Meta(ge=64, le=4096)] = 640
    height_px: Annotated[int, Meta(ge=64, le=4096)] = 480
    mm_per_px: Annotated[float, Meta(gt=0.0, le=10.0)] = 0.25
    jpeg_quality: Annotated[int, Meta(ge=30, le=100)] = 92
    stream_fps: Annotated[float, Meta(gt=0.0, le=200.0)] = 15.0
    slow_s: Annotated[float, Meta(gt=0.0, le=10.0)] = 0.25
    """How late a ``camera_slow`` answers."""
    prepare_after_s: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.11
    """So long after a part reached the eye the next ones are drawn ahead, when no picture is being waited for."""


class ModelSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Which model inspects: ``builtin:NAME`` or a path. ``policy`` becomes the agent's ``[policy]``."""

    bundle: str = "builtin:surface"
    policy: dict[str, Any] = {}


class LinkSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Which broker is started."""

    broker: Literal["auto", "iotcore", "mosquitto"] = "auto"


class Goals(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must hold at the end, all optional: at most so much, and for names ending in ``_min`` at least so much.
    ``broken`` is of virtual time: how many of its invariants (:mod:`sims.virtual.cell_rules`) may not hold.
    """

    escapes: Count | None = None
    escape_pct: Number | None = None
    overkill: Count | None = None
    overkill_pct: Number | None = None
    unsure: Count | None = None
    uninspected: Count | None = None
    uninspected_not_held: Count | None = None
    wrong_part: Count | None = None
    late: Count | None = None
    misframed: Count | None = None
    lost: Count | None = None
    doubled: Count | None = None
    p50_ms: Number | None = None
    p99_ms: Number | None = None
    max_ms: Number | None = None
    parts_min: Count | None = None
    rejects_min: Count | None = None
    recall_pct_min: Number | None = None
    broken: Count | None = None


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """All of a scenario file. ``agent`` holds tables of agent.toml that override what the run would write."""

    scenario: Head
    belt: Belt = Belt()
    lamp: Lamp = Lamp()
    product: Product = Product()
    plc: PlcSpec = PlcSpec()
    camera: CameraSpec = CameraSpec()
    model: ModelSpec = ModelSpec()
    agent: dict[str, dict[str, Any]] = {}
    link: LinkSpec = LinkSpec()
    faults: tuple[Fault, ...] = ()
    goals: Goals = Goals()
    virtual: VirtualSpec = VirtualSpec()

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def line_s(self) -> float:
        """About how long the last part takes to leave the belt, without stops."""
        way_mm = self.belt.pitch_mm * (self.scenario.parts - 1) + self.belt.end_mm
        return way_mm / self.belt.speed_mm_s


def parts_of(scenario: Scenario, seed: int) -> tuple[Part, ...]:
    """What comes down the belt."""
    product = scenario.product
    made = make_parts(
        scenario.scenario.parts, seed, product.defect_rate, kinds=product.kinds, severity=product.severity
    )
    if not product.new_from_part:
        return made
    first = product.new_from_part - 1
    return made[:first] + tuple(replace(part, finish=product.new_finish) for part in made[first:])


def goal_limits(goals: Struct, but: str = "") -> dict[str, float]:
    """The goals that were set, in the order of the struct, leaving out the field ``but``, which is no number."""
    values = asdict(goals)
    return {f.name: values[f.name] for f in fields(goals) if f.name != but and values[f.name] is not None}


def find_scenario(name: str) -> Path:
    """The file of a scenario by path, or by the name of one that comes with the package. Raises ConfigError."""
    file = Path(name)
    if not file.exists() and file.suffix in {"", ".toml"}:
        folder = FOLDER / "suite" if file.parent in {Path("suite"), Path("sims/scenarios/suite")} else FOLDER
        shipped = folder / f"{file.stem}.toml"
        known_as = {Path(), Path("suite"), Path("sims/scenarios"), Path("sims/scenarios/suite")}
        if shipped.exists() and file.parent in known_as:
            file = shipped
    if not file.exists():
        known = ", ".join(sorted(one.stem for one in FOLDER.glob("*.toml")))
        raise ConfigError("SCENARIO_ABSENT", f"there is no scenario {name}", hint=f"a path, or one of: {known}")
    return file


def is_fleet(file: Path) -> bool:
    """Whether a file is a fleet's (:mod:`sims.virtual.fleet_spec`): it has a table ``[fleet]``. Raises ConfigError."""
    return "fleet" in read_toml(file)[0]


def shipped(*, fleets: bool) -> list[Path]:
    """Files of the scenarios that come with the package: those of lines, or those of fleets."""
    return [file for file in sorted(FOLDER.glob("*.toml")) if is_fleet(file) == fleets]


def load_scenario(name: str) -> tuple[Scenario, Path]:
    """A scenario by path, or by the name of one that comes with the package. Raises ConfigError."""
    file = find_scenario(name)
    data, locator = read_toml(file)
    return _valid(data, locator), file


def scenario_of(text: str, name: str = "scenario.toml") -> Scenario:
    """A scenario from TOML text. Raises ConfigError."""
    data, locator = parse_toml(text.encode(), name)
    return _valid(data, locator)


def bundle_path(spec: ModelSpec, file: Path) -> Path:
    """Where the model is: beside the package for ``builtin:``, else relative to the scenario file."""
    if spec.bundle.startswith(BUILTIN):
        return BUNDLES / spec.bundle.removeprefix(BUILTIN)
    return (file.parent / spec.bundle).resolve()


def _valid(data: dict[str, Any], locator: Locator) -> Scenario:
    scenario = checked(data, Scenario, locator)
    belt = scenario.belt

    def wrong(path: tuple[str | int, ...], why: str) -> ConfigError:
        return ConfigError("SCENARIO_IMPOSSIBLE", f"{locator.where(path)}: {why}")

    for name in ("speed_mm_s", "pitch_mm", "part_length_mm", "counts_per_mm", "ramp_s"):
        if getattr(belt, name) <= 0.0:
            raise wrong(("belt", name), f"{name} must be above 0")
    if not 0.0 < belt.camera_mm < belt.decision_mm < belt.gate_mm < belt.end_mm:
        raise wrong(("belt",), "a part must meet camera, decision point, gate and end in this order")
    if belt.pitch_mm - belt.pitch_jitter_mm < belt.part_length_mm:
        raise wrong(("belt", "pitch_mm"), "parts would lie on each other: pitch_mm is too small for part_length_mm")
    if belt.pitch_mm - belt.pitch_jitter_mm < 2 * belt.gate_reach_mm:
        raise wrong(("belt", "gate_reach_mm"), "the gate would reach two parts at once")
    if not 0.1 <= scenario.plc.scan_ms <= 1000.0:
        raise wrong(("plc", "scan_ms"), "scan_ms must be 0.1 to 1000")
    if clash := overlapping(scenario.faults):
        first, second = clash
        text = f"{second.kind} at {second.at_s:g} s begins before {first.kind} at {first.at_s:g} s has ended"
        raise wrong(("faults", scenario.faults.index(second)), text)
    return scenario
