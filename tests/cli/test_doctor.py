"""doctor: names what must be mended, opens devices only with settings, and writes nothing to them."""

from __future__ import annotations

import json
import socket
from importlib.resources import files
from pathlib import Path

import pytest

from edge.cli import doctor_checks as look
from edge.cli.main import main


def project(tmp_path: Path, *options: str) -> Path:
    assert main(["init", str(tmp_path / "p"), *options]) == 0
    return tmp_path / "p" / "agent.toml"


def states(capsys, *args: str) -> tuple[int, dict[str, dict[str, str]]]:
    capsys.readouterr()
    status = main(["doctor", "--json", *args])
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] == (status == 0)
    return status, {one["check"]: one for one in document["findings"]}


def test_this_machine_is_fit_for_the_tests(capsys) -> None:
    status, found = states(capsys)
    assert status == 0, [one for one in found.values() if one["state"] == "mend"]
    assert {"python", "numpy", "onnxruntime", "clock", "disk space", "fsync"} <= set(found)


def test_every_dependency_of_our_own_install_is_looked_at() -> None:
    names = {one.check for one in look.versions()}
    assert {"numpy", "opencv-python", "onnxruntime", "paho-mqtt", "msgspec", "typer", "rich", "cryptography"} <= names
    assert not {"torch", "pymodbus", "sqlalchemy"} & names


def test_lines_for_a_person(tmp_path: Path, capsys) -> None:
    file = project(tmp_path)
    assert main(["doctor", str(file)]) == 0
    out = capsys.readouterr().out
    assert "ok    source camera" in out
    assert out.rstrip().endswith("nothing to mend")


def test_pictures_can_be_read(tmp_path: Path, capsys) -> None:
    status, found = states(capsys, str(project(tmp_path)))
    assert status == 0
    assert found["source camera"]["what"].startswith("320 x 240 px in ")


def test_a_camera_that_is_away(tmp_path: Path, capsys) -> None:
    status, found = states(capsys, str(project(tmp_path, "--camera", "http://127.0.0.1:1/snap.jpg")))
    assert status == 1
    assert found["source camera"]["state"] == "mend"
    assert "127.0.0.1:1" in found["source camera"]["what"]


def test_a_plc_that_is_away(tmp_path: Path, capsys) -> None:
    file = project(tmp_path, "--plc", "modbus")
    file.write_text(
        file.read_text().replace('host = "192.168.0.10"', 'host = "127.0.0.1"').replace("# port = 502", "port = 1")
    )
    status, found = states(capsys, str(file))
    assert status == 1
    assert found["device plc"]["state"] == "mend"
    assert found["device plc"]["what"].split(":")[0].startswith("PLC_")


def test_an_empty_folder_of_pictures(tmp_path: Path, capsys) -> None:
    file = project(tmp_path)
    for picture in (tmp_path / "p" / "pictures").iterdir():
        picture.unlink()
    status, found = states(capsys, str(file))
    assert (status, found["source camera"]["state"]) == (1, "mend")


def test_a_dark_picture_is_a_warning(tmp_path: Path, capsys) -> None:
    import cv2
    import numpy as np

    file = project(tmp_path)
    for picture in (tmp_path / "p" / "pictures").iterdir():
        cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    status, found = states(capsys, str(file))
    assert (status, found["source camera"]["state"]) == (0, "warn")


def test_a_broker_that_is_wanted_and_away(tmp_path: Path, capsys) -> None:
    status, found = states(capsys, str(project(tmp_path, "--broker", "mqtt://127.0.0.1:1")))
    assert status == 1
    assert found["broker 127.0.0.1:1"]["do"] == "start it: `jidoka broker run`"


def test_ports() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert look.port(number, "us").state == "info"
        assert look.broker_reachable("127.0.0.1", number, wanted=True).state == "ok"
    assert look.port(number, "us").state == "ok"
    assert look.broker_reachable("127.0.0.1", number, wanted=True).state == "mend"
    assert look.broker_reachable("127.0.0.1", number, wanted=False).state == "info"


def test_too_little_space_and_a_folder_to_come(tmp_path: Path) -> None:
    found = {one.check: one for one in look.disk(tmp_path / "not" / "yet", 10**9)}
    assert found["disk space"].state == "mend"
    assert found["fsync"].state in {"ok", "warn"}
    assert not (tmp_path / "not").exists()


def test_wrong_settings_are_told_first(tmp_path: Path, capsys) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("[agent]\nid = 'a'\ncolour = 1\n")
    assert main(["doctor", str(file)]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("CONFIG_UNKNOWN_KEY: agent.toml line 3: ")


def test_the_templates_are_installed() -> None:
    assert (files("edge.cli") / "templates" / "project" / "agent.toml").is_file()


@pytest.mark.parametrize("check", [look.clock, look.libraries, look.brokers])
def test_each_check_says_what_to_do_when_it_is_not_content(check) -> None:
    for one in check():
        assert one.state == "ok" or one.do
