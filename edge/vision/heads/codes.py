"""Codes, read elsewhere (:mod:`edge.models.codes`), as a prediction."""

from __future__ import annotations

import numpy as np

from edge.vision.conventions.reading import CodesHead
from edge.vision.heads.base import Context, Head, Outputs, Shapes
from edge.vision.heads.text_boxes import around, sides
from edge.vision.prediction import Prediction

OUTPUTS = ("texts", "formats", "quads")


def decode_codes(_head: CodesHead, outputs: Outputs, context: Context) -> Prediction:
    """Every code that was read: it carries its own check, so it is there (score 1) or not. The label is its format."""
    geometry = context.geometry
    texts: list[str] = outputs["texts"].tolist()
    formats: list[str] = outputs["formats"].tolist()
    quads = geometry.to_frame(np.asarray(outputs["quads"], np.float32).reshape(-1, 4)).reshape(-1, 4, 2)
    numbers = {label: number for number, label in enumerate(context.labels)}
    kept = np.array([i for i, kind in enumerate(formats) if kind in numbers][: context.thresholds.max_detections], int)
    quads = quads[kept]
    return Prediction(
        "codes",
        context.labels,
        geometry.frame_width_px,
        geometry.frame_height_px,
        around(quads),
        np.ones(len(kept), np.float32),
        np.array([numbers[formats[i]] for i in kept], np.int64),
        sides(quads).prod(axis=1),
        dropped=len(formats) - len(kept),
        mm_per_px=context.mm_per_px,
        quads=quads,
        texts=tuple(texts[i] for i in kept),
        formats=tuple(formats[i] for i in kept),
    )


def _wants(_head: CodesHead, shapes: Shapes, _n_labels: int) -> str:
    return "" if tuple(shapes) == OUTPUTS else "no model, but the built-in `codes`,"


CODES = Head(decode_codes, _wants)
