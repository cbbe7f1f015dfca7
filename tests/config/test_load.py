"""Settings: one clear line for each way a file can be wrong, with the line number and the likely word."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import AgentConfig, load_agent, parse_toml
from edge.config.check import MAX_TOML_BYTES, checked
from edge.errors import ConfigError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GOOD = """\
[agent]
id = "cell-1"

[sources.camera]
driver = "opencv"
timeout_s = 2.0
[sources.camera.options]
source = 0

[model]
path = "model.onnx"
workers = 2

[policy.labels.scratch]
min_score = 0.6
"""
PLC = """
[devices.plc]
driver = "modbus"
options = { host = "127.0.0.1" }
[plc]
"""


def load(tmp_path: Path, text: str) -> ConfigError:
    (tmp_path / "agent.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_agent(tmp_path / "agent.toml")
    return caught.value


def line_of(text: str, start: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def test_good_settings_are_taken(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(GOOD + PLC)
    loaded = load_agent(tmp_path / "agent.toml")
    assert loaded.config.model.workers == 2
    assert loaded.source_options["camera"].source == 0
    assert loaded.device_options["plc"].host == "127.0.0.1"
    assert loaded.policies["default"][1].labels["scratch"].min_score == 0.6
    assert loaded.path("models/x") == tmp_path / "models/x"


@pytest.mark.parametrize("name", ["video-counter", "photo-check", "date-code"])
def test_the_examples_are_good_settings(name) -> None:
    assert load_agent(EXAMPLES / name / "agent.toml").config.agent.id == name


@pytest.mark.parametrize(
    ("old", "new", "code", "hint"),
    [
        ("workers = 2", "wrokers = 2", "CONFIG_UNKNOWN_KEY", "did you mean 'workers'?"),
        ("timeout_s = 2.0", "timeout_ms = 2000", "CONFIG_UNKNOWN_KEY", "another unit here: write 'timeout_s'"),
        ("timeout_s = 2.0", "timeout = 2000", "CONFIG_UNKNOWN_KEY", "did you mean 'timeout_s'?"),
        ("[model]", "[modle]", "CONFIG_UNKNOWN_KEY", "did you mean 'model'?"),
        ("source = 0", "sorce = 0", "CONFIG_UNKNOWN_KEY", "did you mean 'source'?"),
        ("min_score = 0.6", "min_scoer = 0.6", "CONFIG_UNKNOWN_KEY", "did you mean 'min_score'?"),
        ("workers = 2", "workers = 0", "CONFIG_WRONG_VALUE", ""),
        ("workers = 2", 'workers = "two"', "CONFIG_WRONG_VALUE", ""),
        ("timeout_s = 2.0", "timeout_s = -1", "CONFIG_WRONG_VALUE", ""),
        ("min_score = 0.6", "min_score = 60", "CONFIG_WRONG_VALUE", ""),
        ("source = 0", "source = 1.5", "CONFIG_WRONG_VALUE", ""),
        ('id = "cell-1"', 'id = "cell/1"', "CONFIG_WRONG_VALUE", ""),
        ('id = "cell-1"', 'id = "cell+"', "CONFIG_WRONG_VALUE", ""),
        ('id = "cell-1"', 'id = "#"', "CONFIG_WRONG_VALUE", ""),
        ('id = "cell-1"', 'id = "coordinator"', "CONFIG_WRONG_VALUE", "another id"),
        ('driver = "opencv"', 'driver = "opncv"', "DRIVER_UNKNOWN", "did you mean 'opencv'?"),
        ('driver = "opencv"', 'driver = "opencv"\ntrigger = "plc"', "CONFIG_WRONG_VALUE", ""),
    ],
)
def test_the_line_and_the_likely_word_are_named(tmp_path: Path, old, new, code, hint) -> None:
    text = GOOD.replace(old, new, 1)
    error = load(tmp_path, text)
    assert error.code == code, str(error)
    line = line_of(text, new.splitlines()[-1])
    assert f"agent.toml line {line}: " in error.what
    assert hint in error.hint
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('driver = "opencv"', 'driver = "opencv"\ndeliver = "all"', "it is one of 'every', 'newest'"),
        ('driver = "opencv"', 'driver = "opencv"\ntrigger = "bell"', "it is one of 'free', 'plc'"),
        ('id = "cell-1"', 'id = "cell/1"', "letters, digits, . _ -; at most 64"),
    ],
)
def test_what_may_stand_there_is_said(tmp_path: Path, old, new, said) -> None:
    error = load(tmp_path, GOOD.replace(old, new, 1))
    assert (error.code, error.why) == ("CONFIG_WRONG_VALUE", said)


def test_a_missing_key_names_its_table(tmp_path: Path) -> None:
    error = load(tmp_path, GOOD.replace('path = "model.onnx"\n', ""))
    assert (error.code, "'path'" in error.what, "[model]" in error.what) == ("CONFIG_MISSING_KEY", True, True)
    assert f"line {line_of(GOOD, '[model]')}" in error.what


def test_without_a_source(tmp_path: Path) -> None:
    error = load(tmp_path, re.sub(r"\[sources.camera\](.|\n)*?\[model\]", "[sources]\n[model]", GOOD))
    assert (error.code, error.hint) == ("CONFIG_WRONG_VALUE", "add a table [sources.camera]")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('device = "plk"', "known devices: plc"),
        ('source = "cam"', "known sources: camera"),
        ('gate = "agent"', "encoder counts from camera to gate"),
        ("deadline_s = 1", "another unit here: write 'deadline_ms'"),
        ('views = ["left"]', "known sources: camera"),
        ('views = ["camera"]', "name each camera once"),
        ('no_verdict = "rejct"', ""),
    ],
)
def test_the_plc_table_knows_the_others(tmp_path: Path, line, word) -> None:
    error = load(tmp_path, GOOD + PLC + line + "\n")
    assert word in error.hint
    assert "agent.toml line" in error.what


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"a = \n", "CONFIG_SYNTAX"),
        (b"\xff\xfe", "CONFIG_SYNTAX"),
        (b"a = 1\na = 2\n", "CONFIG_SYNTAX"),
        (b"a = " + b"[" * 5000, "CONFIG_SYNTAX"),
        (b"#" * (MAX_TOML_BYTES + 1), "CONFIG_TOO_LARGE"),
    ],
)
def test_text_that_is_no_toml(data, code) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(data, "x.toml")
    assert caught.value.code == code


def test_absent_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CONFIG_ABSENT"):
        load_agent(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="CONFIG_UNREADABLE"):
        load_agent(tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_give_settings_or_one_of_our_errors(data) -> None:
    with suppress(ConfigError):
        values, locator = parse_toml(data, "x.toml")
        assert isinstance(checked(values, AgentConfig, locator), AgentConfig)


VALUES = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)
TABLES = st.sampled_from(["agent", "sources", "model", "devices", "plc", "stop", "link", "recipes", "policy", "x"])


@given(st.dictionaries(TABLES, VALUES, max_size=6))
def test_any_values_give_settings_or_one_of_our_errors(values) -> None:
    _, locator = parse_toml(b"", "x.toml")
    with suppress(ConfigError):
        assert isinstance(checked(values, AgentConfig, locator), AgentConfig)
