"""One agent, two cameras on the wire, one PLC: each part is judged once, of both its sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec import structs

from edge.messages import Result, decode_record
from edge.models.toml import dump_toml
from edge.shell.journal import Journal
from sims.camera import Camera
from sims.camera_server import CameraServer
from sims.line import Line, PartTruth
from sims.live_config import agent_tables
from sims.live_line import LiveLine
from sims.live_process import Daemon
from sims.live_watch import agent_status, wait_for
from sims.parts import Defect, Part, make_parts
from sims.plc import FAIL, NONE, PASS, PlcSpec
from sims.plc_server import PlcServer
from sims.scenario import BUNDLES, Head, ModelSpec, Scenario
from sims.world import Belt

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not (BUNDLES / "surface").is_dir(), reason="the demo's model has not been trained yet"),
]

READY_S, END_S = 60.0, 60.0
# A third of a second from trigger to decision on a quiet machine would do; this one may be busy.
BELT = Belt(speed_mm_s=250.0, pitch_mm=260.0, decision_mm=600.0, gate_mm=660.0, end_mm=780.0)
STAIN = Defect("stain", size_mm=22.0, contrast=0.4, x_mm=4.0, y_mm=-3.0, angle_rad=0.3, seed=11)


@dataclass
class Told:
    """What happened to the parts, and what the agent wrote down of them, by the PLC's part number."""

    truth: list[PartTruth]
    results: dict[int, Result]

    def of(self, index: int) -> tuple[PartTruth, Result]:
        return self.truth[index], self.results[self.truth[index].part_no]


def run(
    folder: Path, n: int, bad: set[int], no_verdict: str, step: Callable[[LiveLine, CameraServer], None] | None = None
) -> Told:
    """``n`` parts that are clean on top, some of them stained underneath. ``step`` is called some 50 times a second."""
    folder.mkdir(exist_ok=True)
    plc_spec = PlcSpec(no_verdict=no_verdict, operator_s=0.3)  # type: ignore[arg-type]
    policy = {"other": {"min_score": 0.5}}
    scenario = Scenario(Head("views", n), BELT, plc=plc_spec, model=ModelSpec(policy=policy))
    clean = make_parts(n, 3, 0.0)
    live = LiveLine(Line(scenario.belt, scenario.lamp, scenario.plc, n, seed=3))
    top = _camera(scenario, live, clean, 1)
    under = _camera(
        scenario,
        live,
        tuple(structs.replace(part, defects=(STAIN,)) if i in bad else part for i, part in enumerate(clean)),
        2,
    )
    live.on_arrival(lambda index: [one.part_arrived(index) for one in (top, under)])  # type: ignore[arg-type, return-value]
    plc = PlcServer(live)
    agent = Daemon("agent", ["run", "agent.toml"], folder / "agent.log", folder)
    try:
        for server in (plc, top, under):
            server.start()
        tables = agent_tables(scenario, BUNDLES / "surface", camera_url=top.url, plc_port=plc.port, broker_port=1)
        del tables["link"]  # nobody else is needed
        (first,) = tables["sources"].values()
        options = first["options"] | {"url": f"{under.url}/snapshot.jpg"}
        tables["sources"] = {"top": first, "under": first | {"options": options}}
        tables["plc"] |= {"source": "top", "views": ["under"]}
        (folder / "agent.toml").write_text(dump_toml(tables))
        agent.start()
        wait_for(lambda: (agent_status(folder / "agent-data") or {}).get("ready"), agent, READY_S, "it was not ready")
        live.start()
        for _ in range(round(END_S / 0.02)):
            if live.wait_empty(0.02):
                break
            if step:
                step(live, under)
        assert agent.stop() == 0, agent.last_line()
        return Told(live.truth(), _results(folder / "agent-data" / "journal"))
    finally:
        agent.stop()
        live.stop()
        for server in (under, top, plc):
            server.stop()


def _camera(scenario: Scenario, live: LiveLine, parts: tuple[Part, ...], seed: int) -> CameraServer:
    return CameraServer(Camera(scenario.camera, live, parts, scenario.lamp.gradient, seed))


def _results(folder: Path) -> dict[int, Result]:
    journal = Journal(folder)
    try:
        raw = journal.read("results", 1, 1000, 1 << 20)
        records = [decode_record("results", payload) for _, payload in raw]
    finally:
        journal.close()
    found = {one.part_no: one for one in records if isinstance(one, Result) and one.part_no is not None}
    assert len(found) == len(records), "one result a part"
    return found


def test_a_defect_that_only_the_second_camera_sees_rejects_the_part(tmp_path: Path):
    bad = {2, 4}
    told = run(tmp_path / "cell", 6, bad, "stop")
    for index in range(6):
        truth, result = told.of(index)
        views = {view.source: view for view in result.views}
        assert len(truth.written) == 1, "one verdict a part"
        assert list(views) == ["top", "under"]
        assert views["top"].frames == views["under"].frames == 1
        assert views["top"].findings == 0
        if index in bad:
            assert (truth.code, truth.fate, result.decision) == (FAIL, "rejected", "fail")
            assert (result.source, result.reasons[0].label) == ("under", "stain")
            assert views["under"].findings >= 1
            assert views["under"].frame_no == result.frame_no
        else:
            assert (truth.code, truth.fate, result.decision) == (PASS, "passed", "pass")
            assert views["under"].findings == 0


@pytest.mark.parametrize(("no_verdict", "fate"), [("reject", "rejected"), ("stop", "held"), ("pass", "passed")])
def test_without_one_of_its_views_a_part_has_no_verdict_and_the_plc_follows_the_rule(
    tmp_path: Path, no_verdict: str, fate: str
):
    """The second camera is gone from when part 1 has its verdict until part 2 was given up. All parts are clean."""

    def step(live: LiveLine, under: CameraServer) -> None:
        decided = [bool(one.written) for one in live.truth()]
        if decided[:2] == [True, True] and len(decided) == 2:
            under.set_health("gone")
        elif decided[2:] == [True] or len(decided) > 3:
            under.set_health("ok")

    told = run(tmp_path / "cell", 6, set(), no_verdict, step)
    truth, result = told.of(2)
    assert result.decision == "none"
    assert result.reasons[0].label == "under", "the camera is named"
    assert {view.source: view.frames for view in result.views}["under"] == 0
    assert (truth.code, truth.fate) == (NONE, fate)
    assert [told.of(index)[1].decision for index in (0, 1, 5)] == ["pass"] * 3
    assert [told.of(index)[0].fate for index in (0, 1, 5)] == ["passed"] * 3
    assert [(view.source, view.frames) for view in told.of(5)[1].views] == [("top", 1), ("under", 1)]
