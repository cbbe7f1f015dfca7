"""Outputs as they are: numbers with names, for what no convention reads."""

from __future__ import annotations

import numpy as np

from edge.vision.conventions.whole import RawHead
from edge.vision.heads.base import Context, Head, Outputs, Shapes
from edge.vision.prediction import Prediction

MAX_LISTED = 64
"""Numbers of one output that are listed one by one."""


def decode_raw(head: RawHead, outputs: Outputs, context: Context) -> Prediction:
    """Named numbers of the whole frame; what is no number is left out."""
    values: dict[str, float] = {}
    for name in head.outputs or tuple(outputs):
        array = np.asarray(outputs[name])
        if array.dtype.kind not in "fiub" or not array.size:
            continue
        flat = array.astype(np.float64).reshape(-1)
        if array.size == 1:
            values[name] = float(flat[0])
        elif array.size <= MAX_LISTED:
            values |= {f"{name}[{i}]": float(v) for i, v in enumerate(flat)}
        else:
            summary = {"min": flat.min(), "mean": flat.mean(), "max": flat.max()}
            values |= {f"{name}.{what}": float(v) for what, v in summary.items()}
    geometry = context.geometry
    return Prediction("raw", context.labels, geometry.frame_width_px, geometry.frame_height_px, values=values)


def _wants(head: RawHead, shapes: Shapes, _n_labels: int) -> str:
    missing = [name for name in head.outputs if name not in shapes]
    return f"output {missing[0]!r}" if missing else ""


RAW = Head(decode_raw, _wants)
