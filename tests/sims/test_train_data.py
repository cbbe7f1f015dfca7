from __future__ import annotations

from itertools import pairwise

import numpy as np
from msgspec.structs import replace

from edge.vision.prediction import Prediction
from edge.vision.preprocess import Preprocessor
from edge.vision.spec import InputSpec
from sims.parts import KINDS, Defect, Part, make_parts, visible_size_mm
from sims.scene import Scene
from sims.train.data import CROP_H_PX, CROP_W_PX, HEIGHT_PX, IGNORE, WIDTH_PX, cells_of, draw, to_grey
from sims.train.score import BINS, Tally, bin_of, touched

STAIN = Defect("stain", 16.0, 0.38, 5.0, 5.0, 0.4, 9)


def test_targets_faint_defects_and_background_are_told_apart() -> None:
    scene = Scene(seed=3)
    pit = Defect("pit", 4.0, 0.3, -25.0, -10.0, 0.0, 2)
    faint = replace(pit, contrast=0.16)
    assert visible_size_mm(faint) < 0.5
    cells = cells_of(scene, [(Part(1, 1, 80, 60, (STAIN, pit)), 80.0)])
    assert cells.shape == (HEIGHT_PX // 2, WIDTH_PX // 2)
    assert set(np.unique(cells)) == {0, 1 + KINDS.index("pit"), 1 + KINDS.index("stain"), IGNORE}
    weaker = cells_of(scene, [(Part(1, 1, 80, 60, (STAIN, faint)), 80.0)])
    assert set(np.unique(weaker)) == {0, 1 + KINDS.index("stain"), IGNORE}
    assert np.all((weaker > 0)[cells > 0]), "a faint defect is ignored with a border around it"
    assert (weaker == IGNORE).sum() > (cells == IGNORE).sum()
    assert set(np.unique(cells_of(scene, [(Part(1, 1, 80, 60), 80.0)]))) == {0}


def test_a_sample_is_the_same_for_the_same_generator() -> None:
    parts = make_parts(2, 5, 1.0)
    one, other = (draw(Scene(seed=3), parts[0], parts[1], np.random.default_rng(8)) for _ in range(2))
    assert one[0].shape == (CROP_H_PX, CROP_W_PX)
    assert one[1].shape == (CROP_H_PX // 2, CROP_W_PX // 2)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_training_sees_what_the_agent_makes_of_a_frame() -> None:
    frame = Scene(seed=3).render([(Part(1, 1, 80, 60, (STAIN,)), 80.0)])
    preprocess = Preprocessor(InputSpec(width_px=WIDTH_PX, height_px=HEIGHT_PX, color="gray", scale=1.0))
    workspace = preprocess.workspace()
    preprocess(frame, workspace)
    assert np.array_equal(workspace.blob[0, 0], to_grey(frame).astype(np.float32))


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], np.float32)


def seen(*polygons: np.ndarray) -> Prediction:
    n = len(polygons)
    return Prediction(
        "segment", KINDS, 640, 480, np.zeros((n, 4), np.float32), np.ones(n, np.float32), np.ones(n, np.int64),
        np.ones(n, np.float32), polygons,
    )  # fmt: skip


def test_a_finding_belongs_to_the_defects_it_touches() -> None:
    numbers = np.zeros((480, 640), np.uint8)
    numbers[100:110, 100:110] = 1
    numbers[100:110, 130:140] = 2
    numbers[0:5, 0:5] = 3
    on_first, near, both, far = square(102, 102, 3), square(113, 100, 4), square(95, 95, 50), square(300, 300, 9)
    corner = square(0, 0, 2)
    assert touched(numbers, seen(on_first, near, both, far, corner)) == [{1}, {1}, {1, 2}, set(), {3}]


def test_bins_cover_every_size_once() -> None:
    assert [bin_of(low) for low, _ in BINS] == list(range(len(BINS)))
    assert bin_of(1e9) == len(BINS) - 1
    assert all(high == low for (_, high), (low, _) in pairwise(BINS))


def test_the_tally_counts_escapes_overkill_and_neither_for_borderline() -> None:
    numbers = np.zeros((480, 640), np.uint8)
    numbers[100:110, 100:110] = 1
    hit = seen(square(100, 100, 9))  # label 1: a pit
    pit = Defect("pit", 4.0, 0.8, 0.0, 0.0, 0.0, 2)
    tally = Tally()
    bad, weak, good = Part(1, 1, 80, 60, (pit,)), Part(2, 1, 80, 60, (replace(pit, size_mm=1.0),)), Part(3, 1, 80, 60)
    tally.add(bad, numbers, hit, failed=True)
    tally.add(bad, numbers, seen(), failed=False)
    tally.add(weak, numbers, seen(), failed=False)
    tally.add(good, np.zeros_like(numbers), hit, failed=True)
    tally.add(good, np.zeros_like(numbers), seen(), failed=False)
    report = tally.report()
    assert (report.reject_parts, report.borderline_parts, report.good_parts) == (2, 1, 2)
    assert (report.escapes, report.overkill, report.false_findings) == (1, 1, 1)
    assert (report.reject_defects, report.missed_defects, report.kind_right) == (2, 1, 1.0)
    assert report.part_recall == report.defect_recall == report.recall_by_kind["pit"] == 0.5
