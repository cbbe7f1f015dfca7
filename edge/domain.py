"""The nouns of the line: small frozen values that every part of the house shares.

Times called ``*_ns`` are nanoseconds of the monotonic clock of the machine that made them and decide things;
``*_utc_ms`` are milliseconds since 1970 and only label them. Pixel coordinates are of the full camera frame,
origin top left, x to the right, in pixels as floats. A value that exists is valid: constructors are cheap and
checked where bytes come in (config, codec, driver).
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

MAX_FINDINGS = 300
"""At most so many findings of one frame enter a core; the rest are counted in ``Inference.dropped``."""

MAX_VALUES = 64
"""At most so many named numbers of one frame or window enter a core."""

MAX_TEXT_CHARS = 256
"""At most so much of one text that was read enters a core."""

MAX_REASON_CHARS = 120
"""At most so much text stands in a reason."""

ID_PATTERN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
"""Ids of sites, agents, sources, devices, recipes: safe as a topic level, file name and URL part."""

Decision = Literal["pass", "fail", "unsure", "none"]
"""What was decided of a part; ``none`` is the honest word for a part that could not be inspected."""

RESULT_CODES: dict[str, int] = {"none": 0, "pass": 1, "fail": 2, "unsure": 3}
"""``result_code`` of the PLC contract."""


class FrameRef(Struct, frozen=True):
    """Names one frame: pixels are looked up by it, never carried by it."""

    source: str
    frame_no: int
    captured_ns: int


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing a model found: a detected object, a region of a map, or a class of the whole frame.

    ``score`` is 0 to 1. ``xyxy`` is (left, top, right, bottom) in frame pixels. ``area_px`` is the region's own
    area where there is a mask, else that of the box. ``area_mm2`` is there where the source knows mm per px.
    ``text`` is what was read there: a line of text, or a code, whose format is then the label; at most 256 characters.
    """

    label: str
    score: float
    xyxy: tuple[float, float, float, float]
    area_px: float = 0.0
    area_mm2: float | None = None
    zone: str | None = None
    text: str = ""


class AnomalyScore(Struct, frozen=True):
    """How unlike good parts a frame is, and from where on the model calls it anomalous; both in the model's own unit.
    ``threshold`` is None where none is known.
    """

    score: float
    threshold: float | None = None


class Inference(Struct, frozen=True, omit_defaults=True):
    """What came out of one frame: at most ``MAX_FINDINGS`` findings, highest score first (lines of text as they are
    read; what a further model saw in a thing follows it), and what it cost.

    ``anomaly`` is there with models that say how unlike good parts the whole frame is; their findings are the regions.
    """

    findings: tuple[Finding, ...]
    dropped: int = 0
    preprocess_ms: float = 0.0
    infer_ms: float = 0.0
    postprocess_ms: float = 0.0
    anomaly: AnomalyScore | None = None
    values: dict[str, float] = {}
    """Named numbers of the whole frame or window, at most ``MAX_VALUES``; units are in the model's manifest."""


class Reason(Struct, frozen=True, omit_defaults=True):
    """Why a verdict is what it is: the rule, the label it looked at, what was seen and the limit. Of what was read, the
    ``text``, and the text that was ``wanted``, at most 120 characters each. Where one of several cameras is why there is no
    verdict, ``label`` is its name.
    """

    rule: str
    label: str = ""
    seen: float = 0.0
    limit: float = 0.0
    text: str = ""
    wanted: str = ""


class View(Struct, frozen=True, omit_defaults=True):
    """What one of several cameras gave to a part's verdict: so many ``frames``, the last of them ``frame_no``, and in all of
    them so many ``findings``. No frames: nothing came of it in time.
    """

    source: str
    frames: int = 0
    frame_no: int = 0
    findings: int = 0


class Verdict(Struct, frozen=True):
    """The decision for one part (or one free-running frame), with its reasons."""

    decision: Decision
    reasons: tuple[Reason, ...] = ()


class ModelRef(Struct, frozen=True):
    """Which model spoke. ``sha256`` is that of the model file, 64 hex digits."""

    name: str
    version: str
    sha256: str


class Reading(Struct, frozen=True):
    """One set of values read from a sensor or PLC at one time. Units are in the names."""

    source: str
    at_ns: int
    values: dict[str, float | int | bool | str]


Action = Literal["verdict", "reject", "stop", "release", "outputs_off"]
"""``verdict``: hand over part_no and result_code; ``reject``: pulse the reject output; ``stop``: stop the line;
``release``: let it run again; ``outputs_off``: clear every output."""


class Command(Struct, frozen=True):
    """One order to an actuator. It must never move anything after ``deadline_ns`` (monotonic)."""

    command_id: int
    device: str
    action: Action
    deadline_ns: int
    part_no: int | None = None
    code: int = 0
    pulse_ms: int = 0


class Applied(Struct, frozen=True):
    """What an actuator really did with a command. ``code`` is empty when ``ok``, else an error code."""

    command_id: int
    device: str
    ok: bool
    at_ns: int
    code: str = ""
    what: str = ""


class Health(Struct, frozen=True):
    """Whether the cell can do its work, and if not, why not (one sentence each)."""

    ready: bool
    why_not: tuple[str, ...] = ()


Kind = Literal["results", "events", "evidence"]
"""The journal's streams, each with its own sequence."""

KINDS: tuple[Kind, ...] = ("results", "events", "evidence")


class SeqRange(Struct, frozen=True, order=True):
    """Sequence numbers ``first`` to ``last``, both included."""

    first: int
    last: int


class RemoteKey(Struct, frozen=True):
    """One setting that the coordinator may change: its name, where it lives, and its bounds."""

    name: str
    path: tuple[str, ...]
    kind: Literal["int", "float", "bool", "str"]
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()


def is_id(text: str) -> bool:
    """True if ``text`` can name a site, agent, source or device."""
    return ID_PATTERN.fullmatch(text) is not None
