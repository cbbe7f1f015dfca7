"""init: what it writes is accepted by `run --check`, and finds what its own sample pictures hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.config import load_agent

WAYS = {
    "as-it-is": [],
    "usb": ["--camera", "0"],
    "rtsp": ["--camera", "rtsp://user:pa%20ss@10.0.0.9/live"],
    "usb-path": ["--camera", "/dev/v4l/by-id/usb-none-index0"],
    "http-plc": ["--camera", "http://10.0.0.9/snap.jpg", "--plc", "modbus"],
    "broker": ["--broker", "mqtt://broker.example:1884", "--id", "cell-9", "--site", "north"],
}


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_run_check_accepts_it(tmp_path: Path, options, capsys) -> None:
    folder = tmp_path / "line one"
    assert main(["init", str(folder), *options]) == 0
    assert main(["run", "--check", str(folder / "agent.toml")]) == 0, capsys.readouterr().err


def test_every_setting_is_explained(tmp_path: Path) -> None:
    """Uncommenting any key of the starter gives settings that are still understood: no comment has rotted."""
    assert main(["init", str(tmp_path / "p"), "--plc", "modbus", "--broker", "b:1", "--camera", "0"]) == 0
    file = tmp_path / "p" / "agent.toml"
    lines = file.read_text().splitlines()
    tried = 0
    for i, line in enumerate(lines):
        key = line.removeprefix("# ").partition(" = ")[0]
        if not line.startswith("# ") or not key.replace("_", "").isalnum() or " = " not in line:
            continue
        if key in {"part_type", "region_px", "model", "m", "k", "zone", "rim"}:
            continue  # inside the commented recipe, or letters, or of use only together
        tried += 1
        (file.parent / "tried.toml").write_text("\n".join([*lines[:i], line.removeprefix("# "), *lines[i + 1 :]]))
        load_agent(file.parent / "tried.toml")
    assert tried > 25
    text = file.read_text()
    for start in ("zone = ", "[zones]", "rim = "):
        text = text.replace(f"# {start}", start, 1)
    file.write_text(text)
    assert load_agent(file).policies["default"][1].labels["dark"].zone == "rim"


def test_its_samples_are_judged_rightly(tmp_path: Path, capsys) -> None:
    assert main(["init", str(tmp_path / "p")]) == 0
    capsys.readouterr()
    assert main(["infer", str(tmp_path / "p/models/dark-spots"), str(tmp_path / "p/pictures"), "--json"]) == 0
    found = {Path(one["source"]).name: len(one["regions"]) for one in json.loads(capsys.readouterr().out)}
    assert found == {"1-good.png": 0, "2-spot.png": 1, "3-good.png": 0, "4-spots.png": 2}


def test_a_model_of_ones_own_is_named_not_copied(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path / "a")]) == 0
    own = tmp_path / "a" / "models" / "dark-spots"
    assert main(["init", str(tmp_path / "b"), "--model", str(own)]) == 0
    loaded = load_agent(tmp_path / "b" / "agent.toml")
    assert loaded.path(loaded.config.model.path) == own
    assert not (tmp_path / "b" / "models").exists()
    assert main(["run", "--check", str(tmp_path / "b" / "agent.toml")]) == 0


def test_nothing_is_overwritten(tmp_path: Path, capsys) -> None:
    (tmp_path / "agent.toml").write_text("mine")
    assert main(["init", str(tmp_path)]) == 3
    assert capsys.readouterr().err.startswith("INIT_EXISTS: ")
    assert (tmp_path / "agent.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--id", "a/b"], "ID_WRONG"),
        (["--id", "#"], "ID_WRONG"),
        (["--id", "coordinator"], "ID_WRONG"),
        (["--site", "+"], "ID_WRONG"),
        (["--camera", "no/such/file.mp4"], "SOURCE_ABSENT"),
        (["--model", "no-model.onnx"], "MODEL_ABSENT"),
        (["--broker", "http://x"], "BROKER_URL_WRONG"),
        (["--broker", "mqtts://x"], "BROKER_URL_WRONG"),
    ],
)
def test_wrong_values_write_nothing(tmp_path: Path, options, code, capsys) -> None:
    assert main(["init", str(tmp_path / "p"), *options]) == 3
    assert capsys.readouterr().err.startswith(f"{code}: ")
    assert not (tmp_path / "p").exists()
