"""A memory bank on real tiles, trained for nothing of the kind; bench/anomaly.py has both folds and what flatters them."""

from __future__ import annotations

import numpy as np

from edge.models.bank import bank_of, extractor_of, rows_of, write_bank
from edge.models.bundle import read_any
from edge.models.loading import load
from edge.vision.imageio import decode

TENSORS = ("MobilenetV2/expanded_conv_5/add", "MobilenetV2/expanded_conv_12/add")


def test_tiles_with_defects_are_told_from_good_ones(shared_data, tmp_path, cache):
    """Good tiles at even places (by name) are remembered, those at odd places tested with all defects."""
    folder = shared_data / "magnetic-tile"
    good = [decode(p.read_bytes()) for p in sorted((folder / "MT_Free").glob("*.jpg"))]
    bad = [decode(p.read_bytes()) for p in sorted(folder.glob("MT_*/*.jpg")) if p.parent.name != "MT_Free"]
    assert (len(good), len(bad)) == (40, 30)
    made = extractor_of(read_any(shared_data / "models" / "deeplab.onnx"), TENSORS, cache=cache)
    arrays = bank_of(rows_of(made, good[::2], 20, lambda: None), 1000, lambda: None)
    write_bank(tmp_path / "tiles", made, arrays, ["0" * 64])
    predict = load(tmp_path / "tiles", cache=cache)
    of_good = np.array([predict(image).anomaly.score for image in good[1::2]])
    of_bad = np.array([predict(image).anomaly.score for image in bad])
    auroc = (of_bad[:, None] > of_good).mean()
    assert auroc >= 0.95, f"image AUROC {auroc:.3f}"
