from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from edge.models.bundle import read  # noqa: E402  (after the skip)
from edge.models.loading import load  # noqa: E402
from sims.train.data import CROP_H_PX, CROP_W_PX, IGNORE, Samples  # noqa: E402
from sims.train.export import write_bundle  # noqa: E402
from sims.train.net import SurfaceNet  # noqa: E402
from sims.train.surface import batch_of, loss_of, rate_at  # noqa: E402


def test_ignored_cells_do_not_count() -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 5, 8, 8)
    cells = torch.zeros(2, 8, 8, dtype=torch.long)
    cells[:, 2:4, 2:4] = 3
    cells[:, 5:, :] = IGNORE
    other = logits.clone()
    other[:, :, 5:, :] += torch.randn(2, 5, 3, 8)
    assert float(loss_of(logits, cells)) == pytest.approx(float(loss_of(other, cells)), rel=1e-5)
    other[:, 3, 2:4, 2:4] += 3.0
    assert float(loss_of(other, cells)) < float(loss_of(logits, cells))


def test_a_varied_batch_keeps_labels_with_their_pixels() -> None:
    grey = np.full((6, CROP_H_PX, CROP_W_PX), 60, np.uint8)
    cells = np.zeros((6, CROP_H_PX // 2, CROP_W_PX // 2), np.uint8)
    grey[:, 20:40, 60:100], cells[:, 10:20, 30:50] = 220, 2
    for seed in range(4):  # all ways to mirror
        pictures, labels = batch_of(Samples(grey, cells), np.arange(6), np.random.default_rng(seed))
        small = torch.nn.functional.avg_pool2d(pictures, 2)[:, 0]
        assert float(small[labels == 2].min()) > float(small[labels == 0].max())


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [rate_at(step, 100) for step in range(101)]
    assert max(rates) == pytest.approx(1.0)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-3


def test_an_untrained_network_becomes_a_bundle_that_loads(tmp_path: Path) -> None:
    torch.manual_seed(3)
    write_bundle(SurfaceNet().eval(), tmp_path / "bundle")
    assert len(read(tmp_path / "bundle").manifest.golden) == 2
    predictor = load(tmp_path / "bundle", cache=tmp_path)
    (maps,) = predictor.run(predictor.preprocess(np.full((480, 640, 3), 90, np.uint8))).tensors.values()
    assert maps.shape == (1, 5, 120, 160)
    assert np.allclose(maps.sum(axis=1), 1.0, atol=1e-5)
