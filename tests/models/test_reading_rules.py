"""What reads is recognised from its file; what only looks like it is not."""

from __future__ import annotations

import numpy as np
import pytest

from edge.models import guard
from edge.models.bundle import read_any
from edge.models.inspect.bare import structure
from edge.models.inspect.facts import gather
from edge.models.inspect.rules import reading
from edge.vision.conventions import ClassifyHead, CtcHead, TextBoxesHead
from tests.models import graphs

RULES = (reading.text_lines, reading.characters, reading.way_up)


def guesses(path, size_px=None, cache=None):
    file = read_any(path)
    signature = guard.examine(file.onnx, file.sha256, size_px=size_px, cache=cache)
    return [rule(gather(signature, structure(file), file.name)) for rule in RULES]


@pytest.mark.parametrize(
    ("name", "size_px", "at", "head"),
    [
        ("ch_PP-OCRv4_det_infer.onnx", None, 0, TextBoxesHead),
        ("ch_PP-OCRv4_rec_infer.onnx", (192, 48), 1, CtcHead),
        ("ch_ppocr_mobile_v2.0_cls_infer.onnx", (192, 48), 2, ClassifyHead),
    ],
)
def test_paddles_files_are_known(shared_data, name, size_px, at, head):
    found = guesses(shared_data / "models" / name, size_px)
    assert isinstance(found[at].head, head)
    assert [i for i, guess in enumerate(found) if guess is not None] == [at]


def test_a_dictionary_in_the_metadata_speaks_for_itself(tmp_path, cache):
    output = np.zeros((1, 6, 12), np.float32)
    shape = (1, 3, 40, 100)
    graphs.constant(tmp_path / "a.onnx", output, shape)
    graphs.constant(tmp_path / "b.onnx", output, shape, {"character": "\n".join("0123456789.")})
    graphs.constant(tmp_path / "c.onnx", output, shape, {"character": "\n".join("0123")})
    lax = guard.GuardLimits(liveness=False)
    heads = []
    for name in "abc":
        file = read_any(tmp_path / f"{name}.onnx")
        signature = guard.examine(file.onnx, file.sha256, cache=cache, limits=lax)
        heads.append(reading.characters(gather(signature, structure(file), name)))
    assert heads[0] is None and heads[2] is None
    assert isinstance(heads[1].head, CtcHead)


@pytest.mark.parametrize(
    "name", ["deeplab.onnx", "mnist.onnx", "casting_ae.onnx", "ultraface.onnx", "yolox_nano.onnx", "nanodet_m_320.onnx"]
)
def test_others_are_not_taken_for_readers(shared_data, name):
    assert guesses(shared_data / "models" / name) == [None, None, None]
