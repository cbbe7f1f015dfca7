"""``jidoka run`` as the service manager meets it: a process, its signals, its exit status and its last line."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.models import bundle
from sims.line import Line
from sims.live_line import LiveLine
from sims.plc import PlcSpec
from sims.plc_server import PlcServer
from sims.world import Belt, Lamp
from tests.shell.daemon_rig import (
    MANIFEST,
    PLC,
    PLUG_IN,
    POINTS,
    Daemon,
    Manager,
    children,
    command_of,
    furnished,
    grey_is_trouble,
    heard,
    until,
)

pytestmark = pytest.mark.live

LOOPS = """
[guard]
max_trips = 0
"""  # for models that hang on purpose


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def daemon(tmp_path: Path, cache: Path) -> Iterator[Daemon]:
    made = furnished(tmp_path, cache)
    yield made
    made.kill()


@pytest.fixture
def manager(tmp_path: Path, daemon: Daemon) -> Iterator[Manager]:
    made = Manager(tmp_path)
    daemon.environ |= {"NOTIFY_SOCKET": made.address, "WATCHDOG_USEC": "1000000"}
    yield made
    made.close()


# --- signals and the service manager


def test_the_manager_hears_ready_then_that_it_lives_then_that_it_stops(daemon, manager):
    daemon.start()
    assert manager.hear() == "READY=1"
    assert [manager.hear() for _ in range(3)] == ["WATCHDOG=1"] * 3
    assert daemon.end(signal.SIGTERM) == 0
    heard = manager.rest()
    assert "STOPPING=1" in heard
    assert set(heard) <= {"WATCHDOG=1", "STOPPING=1"}


def test_ctrl_c_is_an_orderly_stop_with_its_own_status(daemon):
    daemon.start()
    daemon.until("PART_UP")
    assert daemon.end(signal.SIGINT) == 130
    stopped = next(json.loads(line) for line in daemon.said().splitlines() if "AGENT_STOPPED" in line)
    assert stopped["text"] == "SIGINT"
    assert "Traceback" not in daemon.said()


def test_a_model_that_hangs_in_its_warm_up_is_never_ready_and_can_be_stopped(daemon, manager):
    bundle.write(daemon.folder / "hangs", MANIFEST, grey_is_trouble(daemon.folder / "hangs.onnx", hangs=True))
    daemon.write(model="hangs", more=LOOPS)
    daemon.start()
    until((daemon.folder / "data" / "page.json").exists)  # written just before the warm-up
    assert manager.hear(1.0) == ""
    assert daemon.end(signal.SIGTERM) == 0
    assert manager.rest() == ["STOPPING=1"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_whoever_is_told_to_stop_while_a_model_is_on_trial_does_not_wait_for_it(daemon, number, status):
    bundle.write(
        daemon.folder / "endless", MANIFEST, grey_is_trouble(daemon.folder / "endless.onnx", hangs=True, above=-1.0)
    )
    daemon.write(model="endless", more=LOOPS)
    (daemon.folder / "tmp").mkdir()
    daemon.environ["TMPDIR"] = str(daemon.folder / "tmp")
    process = daemon.start()
    (trial,) = until(lambda: [pid for pid in children(process.pid) if b"trial.py" in command_of(pid)])
    until(lambda: not list((daemon.folder / "tmp").glob("jidoka-trial-*")))  # the trial is tied to its parent now
    assert daemon.end(number, 5.0) == status
    assert daemon.said() == ""
    until(lambda: b"trial.py" not in command_of(trial))  # it went with its parent, long before its own limits


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_whoever_is_told_to_stop_while_it_is_still_being_read_ends_as_later_on(daemon, number, status):
    process = daemon.start()
    until(lambda: heard(process.pid))
    assert daemon.end(number, 5.0) == status
    assert daemon.said() == ""


# --- what cannot start


def test_a_model_that_fails_its_warm_up_is_one_line(daemon, manager):
    bundle.write(daemon.folder / "fails", MANIFEST, grey_is_trouble(daemon.folder / "fails.onnx", hangs=False))
    daemon.write(model="fails")
    daemon.start()
    assert daemon.end() == 3
    assert daemon.last_line().startswith("MODEL_SILENT: ")
    assert "MODEL_RUN_FAILED" in daemon.last_line()
    assert manager.rest() == []
    assert not (daemon.folder / "data" / "page.json").exists()


def test_a_model_that_is_none_is_one_line(daemon):
    (daemon.folder / "none.onnx").write_bytes(b"this is no model")
    daemon.write(model="none.onnx")
    daemon.start()
    assert daemon.end() == 3
    (line,) = daemon.said().splitlines()
    assert line.startswith("MODEL_UNREADABLE: ")
    assert "agent.toml line 11" in line


def test_a_second_run_on_the_same_data_is_refused_and_the_first_goes_on(daemon, cache):
    daemon.start()
    daemon.until("PART_UP")
    page = daemon.folder / "data" / "page.json"
    where = json.loads(page.read_text())
    (daemon.folder / "second").mkdir()
    second = Daemon(daemon.folder / "second", cache)
    text = (daemon.folder / "agent.toml").read_text().replace('id = "cell"', 'id = "cell"\ndata_dir = "../data"')
    text = text.replace('"dark"', '"../dark"').replace('"parts.avi"', '"../parts.avi"')
    (second.folder / "agent.toml").write_text(text)
    second.start()
    assert second.end() == 6
    (line,) = second.said().splitlines()
    assert line.startswith("JOURNAL_LOCKED: ")
    assert json.loads(page.read_text()) == where
    with urllib.request.urlopen(where["url"] + "status.json", timeout=5) as answer:
        status = json.load(answer)
    assert status["counters"]["frames_camera"] > 0
    assert status["up"] == {"source camera": True}
    assert daemon.end(signal.SIGTERM) == 0
    assert not page.exists()


# --- our own bugs


@pytest.fixture
def plug_in(daemon: Daemon) -> None:
    """A third party's package, registered as such packages are."""
    folder = daemon.folder / "packages"
    info = folder / "buggy_plug_in-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "buggy_plug_in.py").write_text(PLUG_IN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: buggy-plug-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    daemon.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), daemon.environ.get("PYTHONPATH")]))


@pytest.fixture
def plc() -> Iterator[PlcServer]:
    """A PLC whose reject coil somebody left on."""
    belt = Belt(camera_mm=120.0, decision_mm=270.0, gate_mm=320.0, end_mm=400.0)
    live = LiveLine(Line(belt, Lamp(), PlcSpec(), 1, seed=4))
    server = PlcServer(live)
    server.start()
    live.with_registers(lambda regs: setattr(regs, "coil_reject", True))
    live.with_registers(lambda regs: setattr(regs, "agent_ready", 1))
    yield server
    server.stop()
    live.stop()


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize("where", ["core", "thread"])
def test_a_crash_makes_the_outputs_safe_and_exits_70(daemon, plc, where):
    daemon.write(policy='name = "buggy"' if where == "core" else "", more=PLC.format(port=plc.port))
    if where == "thread":
        file = daemon.folder / "agent.toml"
        video = '"opencv"\n[sources.camera.options]\nsource = "parts.avi"\nloop = true\nrate_hz = 20.0\n'
        file.write_text(file.read_text().replace(video, '"buggy"\n'))
    daemon.start()
    assert daemon.end() == 70
    assert daemon.last_line().startswith("BUG_UNEXPECTED: ZeroDivisionError: a ")
    outputs: list[tuple[bool, int, int]] = []
    plc._live.with_registers(lambda regs: outputs.append((regs.coil_reject, regs.line_stop, regs.agent_ready)))
    assert outputs == [(False, 1, 0)]
    assert not (daemon.folder / "data" / "page.json").exists()
    if where == "core":
        assert "Inferred(" in (daemon.folder / "data" / "crash.txt").read_text()
