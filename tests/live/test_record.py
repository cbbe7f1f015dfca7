"""A real run, recorded and replayed: the simulated line with real protocols, and a daemon that knows secrets."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sims.scenario import BUNDLES
from sims.trace_file import reading
from tests.shell.daemon_rig import Daemon, furnished
from tests.trace.things import unpacked

pytestmark = pytest.mark.live
SCENARIO = """
[scenario]
name = "small"
seed = 3
parts = 14
[belt]
speed_mm_s = 400
pitch_mm = 200
decision_mm = 500
gate_mm = 560
end_mm = 700
[model.policy.other]
min_score = 0.5
"""
SECRETS = ("the-password-of-kurt", "c0ffee" * 8, "kurt-the-user")


def jidoka(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli.main", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.skipif(not (BUNDLES / "surface").is_dir(), reason="the demo's model has not been trained yet")
def test_a_recorded_line_replays_exactly_and_another_threshold_changes_what_it_must(tmp_path: Path):
    (tmp_path / "small.toml").write_text(SCENARIO)
    ran = jidoka(tmp_path, "sim", "run", "small.toml", "--json", "--out", "out", "--record")
    assert ran.stdout.startswith("{"), ran.stderr
    trace = "out/run/agent.trace"
    same = jidoka(tmp_path, "sim", "replay", trace, "--json")
    document = json.loads(same.stdout)
    assert (same.returncode, document["same"], document["first"]) == (0, True, None), document
    verdicts = document["verdicts"]
    assert verdicts["parts"] == 14 and verdicts["changed"] == 0 and verdicts["before"].get("fail", 0) >= 1
    mild = jidoka(tmp_path, "sim", "replay", trace, "--set", "policy.other.min_score=1.0", "-o", "b.trace", "--json")
    after = json.loads(mild.stdout)["verdicts"]
    assert mild.returncode == 0 and after["ways"] == {"fail->pass": verdicts["before"]["fail"]}
    both = jidoka(tmp_path, "sim", "compare", trace, "b.trace", "--json")
    compared = json.loads(both.stdout)
    assert both.returncode == 1 and compared["verdicts"]["ways"] == after["ways"]
    assert [one["path"] for one in compared["settings"]] == ["policies.default.options.other.min_score"]
    assert jidoka(tmp_path, "sim", "compare", trace, trace).returncode == 0


LINK = """
[link]
host = "127.0.0.1"
port = 1
username = "kurt-the-user"
password_file = "password"
command_key_file = "key"
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = furnished(tmp_path, tmp_path / "cache")
    yield made
    made.kill()


@pytest.mark.parametrize("more", [(), ("--anonymous",)], ids=["plain", "anonymous"])
def test_no_secret_is_in_a_daemons_trace(daemon: Daemon, more: tuple[str, ...]):
    for name, text in (("password", SECRETS[0]), ("key", SECRETS[1])):
        (daemon.folder / name).write_text(text)
        (daemon.folder / name).chmod(0o600)
    daemon.write(more=LINK)
    daemon.start("--record", str(daemon.folder / "a.trace"), *more)
    daemon.until("LINK_")
    assert daemon.end(signal.SIGTERM) == 0
    data = (daemon.folder / "a.trace").read_bytes()
    everything = unpacked(data)
    for secret in SECRETS:
        assert secret.encode() not in everything
    if more:
        assert b"'cell'" not in everything and b"127.0.0.1" not in everything
    with reading(daemon.folder / "a.trace") as (reader, _, _):
        assert sum(1 for _ in reader.rows()) > 3 and reader.end.why == "stopped"
        assert reader.head.settings.command_key not in (b"", SECRETS[1].encode())
    replay = jidoka(daemon.folder, "sim", "replay", "a.trace", "--json")
    assert replay.returncode == 0, replay.stdout + replay.stderr
