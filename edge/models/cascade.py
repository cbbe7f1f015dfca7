"""Several models one after another: find, cut out, then turn, read, classify or look again.

A cascade is a predictor whose first model is the bundle's own; its stages (:mod:`edge.models.stages`) run on what that
one found. Each stage's model passed the guard by itself. ``timings`` say what each stage costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.domain import ModelRef
from edge.errors import ModelError
from edge.models import stages
from edge.models.bundle import Bundle, sha256_of
from edge.models.predictor import Predictor, Prepared, RawOutputs
from edge.models.result import Result
from edge.models.stages import Stage
from edge.ports import Image
from edge.vision.crops import Crop, corners_of, cut_box, cut_quad, into_frame
from edge.vision.heads.text_boxes import around, sides
from edge.vision.prediction import Prediction, Timings

_QUARTER_DEG = 90


@dataclass(slots=True, eq=False)
class _Frame(Prepared):
    """A frame prepared for the first model, with the pixels that crops are cut from."""

    inner: Prepared | None = None
    image: Image | None = None


@dataclass(slots=True, eq=False)
class _Rows:
    """What the first model found, as the stages work on it."""

    crops: list[Crop | None]
    texts: dict[int, tuple[str, float]] = field(default_factory=dict)
    nested: dict[int, list[Prediction]] = field(default_factory=dict)
    beside: list[Prediction] = field(default_factory=list)


class Cascade(Predictor):
    """A first model with stages, used like any other predictor."""

    def __init__(self, first: Predictor, steps: Sequence[tuple[Stage, Predictor]]) -> None:
        # Not super().__init__: everything that runs is the first model's, whatever kind of predictor that is.
        shas = [first.ref.sha256, *(model.ref.sha256 for _, model in steps)]
        self.ref = ModelRef(first.ref.name, first.ref.version, sha256_of("\n".join(shas).encode()))
        self.manifest = first.manifest
        self.assumed = first.assumed
        self.first = first
        self.stages = tuple(steps)

    @property
    def labels(self) -> tuple[str, ...]:
        """The first model's, then those of stages whose rows are listed, each once."""
        found = list(self.first.labels)
        for stage, model in self.stages:
            if stage.use in {"nest", "frame"}:
                found += model.labels
        return tuple(dict.fromkeys(found))

    def with_min_score(self, min_score: float) -> Predictor:
        """One threshold for the first model's rows, or, where a stage reads them, for what was read."""
        if not any(stage.use == "read" for stage, _ in self.stages):
            return Cascade(self.first.with_min_score(min_score), self.stages)
        return Cascade(self.first, [(s, m.with_min_score(min_score) if s.use == "read" else m) for s, m in self.stages])

    def preprocess(self, image: Image) -> Prepared:
        """The first model's input; the frame is kept for the stages (not copied)."""
        inner = self.first.preprocess(image)
        return _Frame(inner.geometry, inner.preprocess_ms, None, inner, image)

    def run(self, prepared: Prepared) -> RawOutputs:
        """The first model on its input."""
        assert isinstance(prepared, _Frame)
        assert prepared.inner is not None
        return self.first.run(prepared.inner)

    def postprocess(self, outputs: RawOutputs, prepared: Prepared, mm_per_px: float | None = None) -> Prediction:
        """The first model's rows through all stages."""
        assert isinstance(prepared, _Frame)
        image = prepared.image
        assert image is not None
        assert prepared.inner is not None
        found = self.first.postprocess(outputs, prepared.inner, mm_per_px)
        first = found.timings
        rows = _Rows([None] * len(found))
        spent: list[tuple[str, float]] = [("first", first.preprocess_ms + first.infer_ms + first.postprocess_ms)]
        costs = [first]
        for stage, model in self.stages:
            started_ns = time.perf_counter_ns()
            costs += _run(stage, model, image, found, rows, mm_per_px)
            spent.append((stage.name, (time.perf_counter_ns() - started_ns) / 1e6))
        found = _assembled(found, rows, reads=any(stage.use == "read" for stage, _ in self.stages))
        before_ms, in_ms = sum(c.preprocess_ms for c in costs), sum(c.infer_ms for c in costs)
        rest_ms = max(0.0, sum(ms for _, ms in spent) - before_ms - in_ms)
        return replace(found, timings=Timings(before_ms, in_ms, rest_ms, tuple(spent)))

    def warm_up(self) -> Result:
        """Every model once."""
        for _, model in self.stages:
            model.warm_up()
        return self.first.warm_up()


def build(first: Predictor, found: Bundle, load: Callable[[str | Path, int], Predictor], depth: int) -> Predictor:
    """``first`` itself where its manifest names no stages, else the cascade. ``load`` loads a stage's model, guarded.

    Raises ModelError MODEL_STAGE_INVALID, and what loading raises, with the stage named.
    """
    steps = []
    for stage in found.manifest.stage:
        with named(stage):
            model = load(place_of_stage(found, stage), depth + 1)
            _check(stage, model)
        steps.append((stage, model))
    if depth > stages.MAX_DEPTH:
        raise _invalid("bundles are nested too deep", f"at most {stages.MAX_DEPTH} levels are read")
    return Cascade(first, steps) if steps else first


@contextmanager
def named(stage: Stage) -> Iterator[None]:
    """An error inside says whose it is."""
    try:
        yield
    except ModelError as error:
        what = f"stage {stage.name!r}: {error.what}"
        raise type(error)(error.code, what, error.why, error.hint) from error


def place_of_stage(found: Bundle, stage: Stage) -> str | Path:
    """Where a stage's model is: a built-in's name, or a folder that lies inside the bundle, links followed."""
    if stages.is_codes(stage.model):
        return stage.model
    if found.folder is None:
        raise _invalid("its model cannot be found", "the bundle was not read from a folder")
    root = found.folder.resolve()
    folder = (root / stage.model).resolve()
    if folder == root or not folder.is_relative_to(root):
        raise _invalid(f"{stage.model!r} is outside the bundle", "", "name a folder inside it")
    if not (folder / "model.toml").is_file():
        raise _invalid(f"{stage.model!r} is no bundle", f"there is no {stage.model}/model.toml")
    return found.folder / stage.model


def _check(stage: Stage, model: Predictor) -> None:
    task = model.manifest.model.task
    if stage.use == "turn":
        odd = [label for label in model.labels if not label.isdigit() or int(label) % _QUARTER_DEG]
        if task != "classify" or odd:
            raise _invalid("use = 'turn' needs a classifier", "with labels 0, 90, 180 or 270", "correct its model.toml")
    elif stage.use == "read" and task not in {"ocr", "codes"}:
        raise _invalid("use = 'read' needs a model that reads", f"this one's task is {task!r}", "use = 'nest' lists it")


def _run(
    stage: Stage, model: Predictor, image: Image, found: Prediction, rows: _Rows, mm_per_px: float | None
) -> list[Timings]:
    """One stage over all its rows; what each call cost."""
    if stage.use == "frame":
        rows.beside.append(model(image, mm_per_px))
        return [rows.beside[-1].timings]
    costs = []
    for row in _chosen(stage, found).tolist():
        crop = _crop(stage, image, found, rows, row)
        if crop is None:
            continue
        seen = model(crop.image, mm_per_px)
        costs.append(seen.timings)
        if stage.use == "turn":
            limit = model.manifest.thresholds.score
            if len(seen) and seen.scores[0] >= limit:
                rows.crops[row] = crop.turned(int(seen.names[0]) // _QUARTER_DEG)
        elif stage.use == "read":
            if seen.texts:
                rows.texts[row] = (" ".join(seen.texts), float(seen.scores.mean()))
        else:
            inner = into_frame(seen, crop, found.frame_width_px, found.frame_height_px)
            rows.nested.setdefault(row, []).append(inner)
    return costs


def _chosen(stage: Stage, found: Prediction) -> NDArray[np.int64]:
    """Rows that go on: of the stage's labels, the likeliest where they are more than its limit."""
    rows = np.arange(len(found))
    if stage.labels:
        wanted = [number for number, label in enumerate(found.labels) if label in stage.labels]
        rows = np.flatnonzero(np.isin(found.label_ids, wanted))
    if len(rows) > stage.limit:
        rows = np.sort(rows[np.argsort(-found.scores[rows], kind="stable")[: stage.limit]])
    return rows


def _crop(stage: Stage, image: Image, found: Prediction, rows: _Rows, row: int) -> Crop | None:
    """The row's piece of the frame; one that an earlier stage turned stays as it is."""
    turned = rows.crops[row]
    if turned is not None:
        return turned
    if found.quads is not None and stage.crop != "box":
        crop = cut_quad(image, found.quads[row], stage.margin, lay_down=stage.use in {"read", "turn"})
    else:
        crop = cut_box(image, found.boxes[row], stage.margin)
    if stage.use in {"read", "turn"}:
        rows.crops[row] = crop
    return crop


def _assembled(found: Prediction, rows: _Rows, *, reads: bool) -> Prediction:
    if rows.nested:
        empty = Prediction("raw", (), found.frame_width_px, found.frame_height_px)
        inner = [rows.nested.get(row, [empty]) for row in range(len(found))]
        found = replace(found, nested=tuple(replace(one[0], beside=tuple(one[1:])) for one in inner))
    if reads:
        found = _read(found, rows)
    return replace(found, beside=tuple(rows.beside)) if rows.beside else found


def _read(found: Prediction, rows: _Rows) -> Prediction:
    """Rows with text only; quads are those of the crops as they were read: clockwise from the text's own top left."""
    kept: list[int] = sorted(rows.texts)
    crops: list[Any] = [rows.crops[row] for row in kept]
    quads = np.array([corners_of(crop) for crop in crops], np.float32).reshape(-1, 4, 2)
    quads = np.clip(quads, 0, np.array([found.frame_width_px, found.frame_height_px], np.float32))
    picked = found.take(np.array(kept, np.int64))
    return replace(
        picked,
        task="ocr",
        scores=np.array([rows.texts[row][1] for row in kept], np.float32),
        texts=tuple(rows.texts[row][0] for row in kept),
        quads=quads,
        boxes=around(quads) if kept else picked.boxes,
        areas_px=sides(quads).prod(axis=1) if kept else picked.areas_px,
        instances=False,
        polygons=(),
        keypoints=None,
    )


def _invalid(what: str, why: str, hint: str = "see the guide on cascades") -> ModelError:
    return ModelError("MODEL_STAGE_INVALID", what, why, hint)
