"""Conventions that can be named in a manifest and are not read yet."""

from __future__ import annotations

from typing import Any

from edge.errors import ModelError
from edge.vision.heads.base import Context, Head, Outputs, Shapes
from edge.vision.prediction import Prediction


def _decode(head: Any, _outputs: Outputs, _context: Context) -> Prediction:
    raise ModelError("MODEL_OUTPUT_UNFIT", f"outputs as {type(head).__name__} are not read yet")


def _wants(_head: Any, _shapes: Shapes, _n_labels: int) -> str:
    return ""


UNREAD = Head(_decode, _wants)
