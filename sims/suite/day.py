"""One bad day: a scenario of the suite, run, and what is told of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from edge.errors import ConfigError, JidokaError
from sims.chronicle import Chronicle
from sims.scenario import FOLDER, is_fleet, load_scenario
from sims.score_model import Goal
from sims.story import Story
from sims.suite.words import fleet_figures, fleet_seen, line_figures, line_seen
from sims.virtual.cell import Cell
from sims.virtual.fleet import Fleet
from sims.virtual.fleet_score import FleetReport
from sims.virtual.fleet_spec import load_fleet

DAYS = FOLDER / "suite"
PICTURE_PX = 300


class Picture(Struct, frozen=True):
    """What the camera saw."""

    jpeg: bytes
    text: str


class Day(Struct, frozen=True):
    """All that the page tells of one scenario. ``took_s`` is of the machine that ran it."""

    name: str
    title: str
    about: str
    promise: str
    kind: Literal["line", "fleet"]
    seed: int
    goals: tuple[Goal, ...]
    seen: str
    figures: tuple[tuple[str, str], ...]
    chronicle: Chronicle
    trace_hash: str
    took_s: float
    pictures: tuple[Picture, ...] = ()
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the promise was kept."""
        return not self.error and all(goal.ok for goal in self.goals)


def find_days(pattern: str = "") -> list[Path]:
    """Files of the suite whose name has ``pattern`` in it, in order. Raises ConfigError SCENARIO_ABSENT."""
    found = [file for file in sorted(DAYS.glob("*.toml")) if pattern in file.stem]
    if not found:
        raise ConfigError("SCENARIO_ABSENT", f"no scenario of the suite has {pattern!r} in its name", "", f"see {DAYS}")
    return found


def run_day(file: Path, seed: int | None = None, model: str = "") -> Day:
    """Run one; a line with another ``model`` than its own where one is named. What goes wrong in it is part of the day;
    only a broken file raises ConfigError.
    """
    began_s = time.perf_counter()
    return _fleet(file, seed, began_s) if is_fleet(file) else _line(file, seed, model, began_s)


def _fleet(file: Path, seed: int | None, began_s: float) -> Day:
    spec = load_fleet(file)
    fleet = Fleet(spec, seed)
    report = fleet.run()
    return day_of_fleet(fleet, report, time.perf_counter() - began_s)


def day_of_fleet(fleet: Fleet, report: FleetReport, took_s: float) -> Day:
    """What is told of a fleet's run."""
    head = fleet.spec.scenario
    return Day(
        head.name,
        head.title or head.name,
        head.about,
        head.promise,
        "fleet",
        report.seed,
        report.goals,
        fleet_seen(report.score),
        fleet_figures(report.score),
        fleet.watch.chronicle(),
        report.trace_hash,
        took_s,
    )


def _line(file: Path, seed: int | None, model: str, began_s: float) -> Day:
    scenario, file = load_scenario(str(file))
    if model:
        scenario = replace(scenario, model=replace(scenario.model, bundle=model))
    head = scenario.scenario
    number = head.seed if seed is None else seed
    try:
        report, story = Cell(scenario, file, number).run()
    except JidokaError as error:
        took_s = time.perf_counter() - began_s
        words = (head.name, head.title or head.name, head.about, head.promise)
        return Day(*words, "line", number, (), "", (), Chronicle(), "", took_s, error=str(error))
    assert report.trace_hash is not None
    assert story.chronicle is not None
    return Day(
        head.name,
        head.title or head.name,
        head.about,
        head.promise,
        "line",
        number,
        report.goals,
        line_seen(report.score),
        line_figures(report.score),
        story.chronicle,
        report.trace_hash,
        time.perf_counter() - began_s,
        _pictures(story),
    )


def _pictures(story: Story) -> tuple[Picture, ...]:
    """Before the first fault, in its middle, and whatever got through or was rejected for nothing."""
    kept = [(o, story.evidence.get((o.row.boot_no, o.row.part_id))) for o in story.outcomes if o.row is not None]
    have = [(o, k.jpeg) for o, k in kept if k is not None]
    if not have:
        return ()
    began_s, ended_s = (story.faults[0][1], story.faults[0][2]) if story.faults else (0.0, story.line_s)
    wanted_s = [(0.0, "before"), ((began_s + ended_s) / 2, "meanwhile"), (ended_s, "at the end of it")]
    shown: dict[int, Picture] = {}
    for t_s, when in wanted_s if story.faults else [(0.0, ""), (ended_s, "")]:
        o, jpeg = min(have, key=lambda one: abs(one[0].truth.trigger_ns / 1e9 - t_s))
        said = f"part {o.truth.part_no}, {o.fact.grade}: {o.decision}"
        shown.setdefault(o.truth.index, Picture(_small(jpeg), f"{when}: {said}" if when else said))
    return tuple(shown[index] for index in sorted(shown))


def _small(jpeg: bytes) -> bytes:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return jpeg
    size = (PICTURE_PX, round(PICTURE_PX * image.shape[0] / image.shape[1]))
    return bytes(cv2.imencode(".jpg", cv2.resize(image, size, interpolation=cv2.INTER_AREA), [1, 80])[1].tobytes())
