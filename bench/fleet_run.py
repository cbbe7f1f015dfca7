"""One run in virtual time for bench/fleet.py: ``fleet AGENTS SECONDS`` or ``cell SCENARIO``; figures as JSON.

CPU seconds are of the run alone, memory is the process's highest.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import cv2
from msgspec.structs import replace

from sims.scenario import find_scenario, load_scenario
from sims.virtual.cell import Cell
from sims.virtual.fleet import Fleet
from sims.virtual.fleet_spec import load_fleet


def fleet(agents: int, seconds: float) -> dict[str, float]:
    spec = load_fleet(find_scenario("fleet"))
    spec = replace(spec, fleet=replace(spec.fleet, agents=agents, seconds=seconds))
    began = time.process_time()
    run = Fleet(spec)
    score = run.run().score
    cpu_s = time.process_time() - began
    if score.lost or score.doubled or score.pending or score.results != score.parts:
        sys.exit(f"the run itself went wrong: {score}")
    return {"cpu_s": cpu_s, "events": score.events, "results": score.results}


def cell(name: str) -> dict[str, float]:
    scenario, file = load_scenario(name)
    run = Cell(scenario, file, scenario.scenario.seed)
    began = time.process_time()
    report, story = run.run()
    cpu_s = time.process_time() - began
    return {"cpu_s": cpu_s, "line_s": story.line_s, "parts": report.score.parts}


def main(what: str, *arguments: str) -> None:
    cv2.setNumThreads(1)
    seen = cell(*arguments) if what == "cell" else fleet(int(arguments[0]), float(arguments[1]))
    seen["peak_kb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
