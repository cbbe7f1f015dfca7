"""Codes and what they must say, from ``agent.toml`` to the journal: the built-in model and the policy ``match``."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edge.config import load_agent
from edge.config.remote import remote_settings
from edge.core.settings import Settings, remote_values, with_remote
from edge.errors import RemoteError
from edge.models.stages import place_of
from edge.shell.assemble import check_labels, load_models
from edge.shell.early import EarlyModel

library = pytest.importorskip("zxingcpp", reason="the extra 'codes' is not installed")

SETTINGS = """
[agent]
id = "cell"
[sources.camera]
driver = "opencv"
deliver = "every"
options = { source = "photos" }
[model]
path = "codes:QRCode"
[policy]
name = "match"
[policy.read.lot]
label = "QRCode"
pattern = 'L(\\d+)'
expected = "22"
[evidence]
keep = ["fail"]
overlay = true
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for n, text in enumerate(("L22", "L23", "")):
        picture = np.full((240, 320, 3), 255, np.uint8)
        if text:
            barcode = library.create_barcode(text, library.BarcodeFormat.QRCode)
            code = np.array(library.write_barcode_to_image(barcode, scale=4))
            picture[40 : 40 + code.shape[0], 60 : 60 + code.shape[1]] = code[..., None]
        cv2.imwrite(str(tmp_path / "photos" / f"{n}.png"), picture)
    (tmp_path / "agent.toml").write_text(SETTINGS)
    return tmp_path


@pytest.mark.live
def test_codes_are_read_and_judged_by_an_agent(folder):
    command = [sys.executable, "-m", "edge.cli.main", "run", str(folder / "agent.toml")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert ran.returncode == 0, ran.stderr
    kept = b"".join(path.read_bytes() for path in sorted((folder / "data" / "journal").rglob("*")) if path.is_file())
    decisions = re.findall(rb'"t":"result","decision":"(\w+)"', kept)
    assert decisions == [b"pass", b"fail", b"fail"]
    assert b'{"rule":"unexpected","label":"lot","text":"L23","wanted":"22"}' in kept
    assert b'{"rule":"not_read","label":"lot","wanted":"22"}' in kept
    assert b'"label":"QRCode","score":1.0' in kept and b'"text":"L22"' in kept


def test_the_built_in_is_loaded_early_and_its_labels_are_known(folder):
    loaded = load_agent(folder / "agent.toml")
    config = loaded.config
    early = EarlyModel(place_of(config.model.path, loaded.path(config.model.path)), config.model, config.guard)
    models = load_models(loaded, early)
    assert early.warmed()
    assert [engine.name for engine in models.engines] == ["codes"]
    assert check_labels(loaded, models) == []
    (folder / "agent.toml").write_text(SETTINGS.replace('label = "QRCode"', 'label = "QRKode"'))
    (sentence,) = check_labels(load_agent(folder / "agent.toml"), models)
    assert "agent.toml line 13" in sentence and "no label 'QRKode'" in sentence


def test_the_expected_lot_is_set_from_afar(folder):
    loaded = load_agent(folder / "agent.toml")
    options = {name: one for name, (_, one) in loaded.policies.items()}
    keys = tuple(key for key in remote_settings(loaded) if key.name.startswith("policy."))
    settings = Settings("s", "a", recipes={}, policies=options, remote=keys)
    assert remote_values(settings)["policy.read.lot.expected"] == "22"
    wish = "policy.read.lot.expected"
    for value, kept in (("23", "23"), (23, "23"), ("A7", "A7")):
        assert with_remote(settings, {wish: value}).policies["default"].read["lot"].expected == kept
    for value in (2.5, True, "x" * 201, "a\nb"):
        with pytest.raises(RemoteError, match=r"policy\.read\.lot\.expected"):
            with_remote(settings, {wish: value})
    with pytest.raises(RemoteError, match="SETTING_UNKNOWN"):
        with_remote(settings, {"policy.read.lot.pattern": ".*"})
