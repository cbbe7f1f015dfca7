"""Settings that make no sense together are refused where they stand, and their neighbours that do are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config import load_agent
from edge.errors import ConfigError

GOOD = """\
[agent]
id = "cell-1"
[sources.camera]
driver = "opencv"
options = { source = 0 }
[model]
path = "model.onnx"
"""
RULE = "[policy.labels.screw]\n"
ZONES = "[zones]\nrim = [[0, 0], [9, 0], [9, 9]]\n"
COIL = """\
[devices.plc]
driver = "modbus"
options = { host = "127.0.0.1", mode = "coil" }
[plc]
"""


@pytest.mark.parametrize(
    ("more", "line", "hint"),
    [
        (RULE + 'zone = "rim"\n', 'zone = "rim"', "to a table [zones]"),
        (ZONES + RULE + 'zone = "rmi"\n', 'zone = "rmi"', "known zones: rim"),
        ('[policy]\nother = { zone = "rim" }\n', "other", "to a table [zones]"),
        (RULE + "min_count = 4\n", "min_count", "max_count = 4 or more"),
        ("[policy]\nvote_k = 3\nvote_n = 2\n", "vote_k", "at least vote_k"),
        ("[policy]\nvote_k = 2\n", "vote_k", "at least vote_k"),
        ("[recipes.large.policy]\nvote_k = 2\n", "vote_k", "at least vote_k"),
        ("[recipes.large]\nregion_px = [9, 0, 9, 9]\n", "region_px", "left, top, right, bottom"),
        ("[recipes.large]\nregion_px = [0, 0, -1, 9]\n", "region_px", "left, top, right, bottom"),
        ("[stop]\nm = 3\n", "m = 3", "k at least m"),
        ("[stop]\nm = 3\nk = 2\n", "m = 3", "k at least m"),
        (COIL, "[plc]", "the same mode"),
        (COIL.replace(', mode = "coil"', "") + 'mode = "coil"\n', 'mode = "coil"', "the same mode"),
    ],
)
def test_what_would_be_silent_is_refused(tmp_path: Path, more: str, line: str, hint: str) -> None:
    text = GOOD + more
    (tmp_path / "agent.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_agent(tmp_path / "agent.toml")
    assert caught.value.code == "CONFIG_WRONG_VALUE"
    number = next(i for i, one in enumerate(text.splitlines(), 1) if one.startswith(line))
    assert f"agent.toml line {number}: " in caught.value.what
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "more",
    [
        ZONES + RULE + 'zone = "rim"\n',
        RULE + "min_count = 4\nmax_count = 4\n",
        "[policy]\nvote_k = 2\nvote_n = 2\n",
        "[recipes.large]\nregion_px = [0, 0, 1, 1]\n",
        "[stop]\nm = 3\nk = 3\n",
        "[stop]\nk = 3\n",
        COIL + 'mode = "coil"\n',
        '[link]\nhost = "::1"\n',
        '[link]\nhost = "broker.example"\n',
    ],
)
def test_what_makes_sense_is_taken(tmp_path: Path, more: str) -> None:
    (tmp_path / "agent.toml").write_text(GOOD + more)
    assert load_agent(tmp_path / "agent.toml").config.agent.id == "cell-1"


@pytest.mark.parametrize("host", ["mqtt://broker", "broker:1883", "10.0.0.1:1883", "", "a host"])
def test_a_host_is_a_name_alone(tmp_path: Path, host: str) -> None:
    (tmp_path / "agent.toml").write_text(f'{GOOD}[link]\nhost = "{host}"\n')
    with pytest.raises(ConfigError, match="a name or an address alone") as caught:
        load_agent(tmp_path / "agent.toml")
    assert caught.value.code == "CONFIG_WRONG_VALUE"


def test_files_of_other_editors(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_agent(file).config.agent.id == "cell-1"
    file.write_bytes(GOOD.encode() + b"# caf\xe9\n")
    with pytest.raises(ConfigError, match=f"line {GOOD.count(chr(10)) + 1} is not UTF-8; save it as UTF-8"):
        load_agent(file)
