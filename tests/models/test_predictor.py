"""What holds of a runner and a predictor whatever the model is."""

from __future__ import annotations

import sys

from edge.models.runner import OnnxRunner
from tests.models import graphs


def test_a_loaded_model_keeps_no_copy_of_its_file(tmp_path):
    onnx = graphs.darkness(tmp_path / "m.onnx").read_bytes()
    held = sys.getrefcount(onnx)
    runner = OnnxRunner(onnx)
    assert sys.getrefcount(onnx) == held
    assert runner.output_names
