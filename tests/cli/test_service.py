"""The unit: what systemd must see in it, its score, and values that systemd would read in another way."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.cli.service import text
from edge.errors import ConfigError

CONFIG, DATA = Path("/etc/jidoka/agent.toml"), Path("/var/lib/jidoka")
MAX_EXPOSURE = 2.0


def keys(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_it_is_a_notify_service_with_a_watchdog(capsys) -> None:
    assert main(["service", "unit", "--user", "inspector", "--watchdog-s", "12"]) == 0
    found = keys(capsys.readouterr().out)
    assert found["Type"] == ["notify"]
    assert found["WatchdogSec"] == ["12"]
    assert found["User"] == ["inspector"]
    assert found["ReadWritePaths"] == ["/var/lib/jidoka"]
    assert found["ExecStart"][0].endswith("/jidoka run /etc/jidoka/agent.toml")
    assert found["Environment"] == ["JIDOKA_CACHE_DIR=/var/lib/jidoka/cache"]


def test_no_placeholder_is_left() -> None:
    assert not re.search(r"[{}]", text(CONFIG, DATA, "jidoka", [Path("/dev/video0")], 30))


def test_a_usb_camera_and_only_it_may_be_used() -> None:
    found = keys(text(CONFIG, DATA, "jidoka", [Path("/dev/video0"), Path("/dev/video2")], 30))
    assert found["DeviceAllow"] == ["/dev/video0 rw", "/dev/video2 rw"]
    assert found["DevicePolicy"] == ["closed"]
    assert "PrivateDevices" not in found
    assert keys(text(CONFIG, DATA, "jidoka", [], 30))["PrivateDevices"] == ["yes"]


@pytest.mark.parametrize("cameras", [[], [Path("/dev/video0")]], ids=["network", "usb"])
def test_systemd_thinks_well_of_it(tmp_path: Path, cameras) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "jidoka.service"
    unit.write_text(text(CONFIG, DATA, "jidoka", cameras, 30))
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    level = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) <= MAX_EXPOSURE


@pytest.mark.parametrize(
    ("config", "data", "user"),
    [
        (Path("/etc/a b.toml"), DATA, "jidoka"),
        (CONFIG, Path("/var/%h"), "jidoka"),
        (CONFIG, Path("/var/x\nUser=root"), "jidoka"),
        (CONFIG, DATA, "root\nExecStartPre=/bin/sh"),
        (CONFIG, DATA, ""),
    ],
)
def test_what_systemd_would_read_otherwise_is_refused(config, data, user) -> None:
    with pytest.raises(ConfigError, match="UNIT_VALUE_WRONG"):
        text(config, data, user, [], 30)


def test_homes_stay_readable_only_where_needed() -> None:
    assert keys(text(Path("/home/me/agent.toml"), DATA, "jidoka", [], 30))["ProtectHome"] == ["read-only"]
