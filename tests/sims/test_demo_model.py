"""The shipped model, through the agent's own path. The proof on 2,000 parts is `python -m sims.train.evaluate`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.models.bundle import MODEL_FILE, Bundle, read
from edge.models.loading import load
from edge.models.predictor import Predictor
from sims.parts import KINDS, Defect, Part
from sims.scene import Scene
from sims.train.card import card_of
from sims.train.evaluate import BUNDLE, OVERKILL_GOAL, RECALL_GOAL, evaluate
from sims.train.score import Report


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return read(BUNDLE)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return load(BUNDLE, cache=tmp_path_factory.mktemp("guard"))


@pytest.fixture(scope="module")
def report(predictor: Predictor) -> Report:
    return evaluate(predictor, 60, seed=31_000_000, defect_rate=0.6)


def test_it_finds_what_it_must_on_unseen_parts(report: Report) -> None:
    assert report.reject_parts >= 15
    assert report.escapes <= 1
    assert report.missed_defects <= 1
    assert report.kind_right > 0.85


def test_it_leaves_good_parts_alone(report: Report) -> None:
    assert report.good_parts >= 20
    assert report.overkill <= 1


def test_gross_is_found_more_often_than_faint(report: Report) -> None:
    gross = [r for r in report.rows if r.from_share >= 1.5]
    faint = [r for r in report.rows if r.to_share <= 0.25]
    assert sum(r.found for r in gross) == sum(r.defects for r in gross) > 0
    assert sum(r.found for r in faint) < sum(r.defects for r in faint)


def test_it_is_small_free_and_says_what_it_was_proven_on(shipped: Bundle) -> None:
    manifest = shipped.manifest
    assert len(shipped.onnx) <= 1_500_000
    assert manifest.model.licence == "Apache-2.0"
    assert manifest.model.labels == KINDS
    assert manifest.metrics["parts"] >= 2000
    assert min(manifest.metrics["part_recall"], manifest.metrics["defect_recall"]) >= RECALL_GOAL
    assert manifest.metrics["overkill"] <= OVERKILL_GOAL
    card = (BUNDLE / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"({manifest.metrics['defect_recall']:.2%})" in card
    assert "MODEL_CARD.md" in manifest.files


def test_it_answers_its_golden_pictures_as_when_it_was_made(shipped: Bundle, predictor: Predictor) -> None:
    found = {}
    for golden in shipped.manifest.golden:
        frame = cv2.imread(str(BUNDLE / golden.image))
        outputs = predictor.run(predictor.preprocess(frame)).tensors
        with np.load(BUNDLE / golden.outputs) as wanted:
            assert set(wanted) == set(outputs)
            for name in wanted:
                assert float(np.abs(outputs[name] - wanted[name]).max()) <= golden.tolerance
        found[Path(golden.image).stem] = len(predictor(frame, 0.25))
    assert found["good"] == 0
    assert found["bad"] >= 2


def test_an_empty_belt_is_nothing_and_areas_are_in_mm2(predictor: Predictor) -> None:
    scene = Scene(seed=4)
    assert len(predictor(scene.render([]), 0.25)) == 0
    stain = Defect("stain", 16.0, 0.38, 5.0, 5.0, 0.4, 9)
    part = Part(1, 7, 80.0, 60.0, (stain,))
    prediction = predictor(scene.render([(part, 80.0)]), 0.25)
    assert prediction.names == ["stain"]
    truth_mm2 = scene.boxes([(part, 80.0)])[0].area_px * 0.25**2
    assert prediction.areas_mm2 is not None
    assert prediction.areas_mm2[0] == pytest.approx(truth_mm2, rel=0.3)


def test_the_card_says_the_figures(shipped: Bundle, report: Report) -> None:
    card = card_of(shipped.manifest, len((BUNDLE / MODEL_FILE).read_bytes()), report, 31_000_000, "for a test")
    assert f"{report.overkill} of {report.good_parts}" in card
    assert card.count("| 1 to 1.25 |") == 1
