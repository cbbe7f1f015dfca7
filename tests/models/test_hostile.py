"""Every hostile model is one line and status 3, soon, through `model check` and through `infer`."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cli.main import main
from tests.models.hostile_limits import CASES

MAX_S = 5.0


@pytest.fixture(autouse=True)
def own_cache(cache):
    """The command line has no option for the cache; the variable is what a service sets."""
    before = os.environ.get("JIDOKA_CACHE_DIR")
    os.environ["JIDOKA_CACHE_DIR"] = str(cache)
    yield
    if before is None:
        del os.environ["JIDOKA_CACHE_DIR"]
    else:
        os.environ["JIDOKA_CACHE_DIR"] = before


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "p.png"
    path.write_bytes(cv2.imencode(".png", np.full((8, 8, 3), 90, np.uint8))[1].tobytes())
    return path


@pytest.mark.parametrize("name", CASES)
def test_hostile_models_are_one_line(tmp_path, capsys, picture, name):
    make, codes = CASES[name]
    folder = tmp_path / "model"
    folder.mkdir()
    path = make(folder)
    for command in (["model", "check", str(path)], ["infer", str(path), str(picture)]):
        started, before = time.monotonic(), _resident_mb()
        status = main(command)
        took = time.monotonic() - started
        out, said = capsys.readouterr()
        assert status == 3, said
        assert said.count("\n") == 1, said
        assert said.split(":")[0] in codes, said
        assert len(said) < 1000
        assert not out
        assert took < MAX_S, f"{took:.1f} s"
        assert _resident_mb() - before < 1024


def _resident_mb() -> float:
    """The most that was ever resident: it only grows."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_there_are_as_many_kinds_as_were_tried():
    assert len(CASES) >= 40
