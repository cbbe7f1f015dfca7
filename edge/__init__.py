"""Jidoka: inspect parts beside the machine.

::

    import edge

    predict = edge.load("my-model")        # a bundle folder or an .onnx file
    found = predict(image)                 # uint8 (height, width, 3) BGR or (height, width) grey
    found.names, found.scores, found.boxes # arrays, see edge.Prediction
    found.draw(image)                      # a picture with what was found
    found.document("shot-1")               # what `jidoka infer --json` prints
    predict.batch(images)                  # several at a time

Names are resolved when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.domain import Finding, Inference, Verdict
    from edge.errors import JidokaError
    from edge.models.loading import load
    from edge.models.predictor import Predictor
    from edge.models.result import Result
    from edge.vision.document import to_document
    from edge.vision.draw import overlay
    from edge.vision.findings import to_inference
    from edge.vision.imageio import decode
    from edge.vision.prediction import Prediction

_WHERE = {
    "Finding": "edge.domain",
    "Inference": "edge.domain",
    "JidokaError": "edge.errors",
    "Prediction": "edge.vision.prediction",
    "Predictor": "edge.models.predictor",
    "Result": "edge.models.result",
    "Verdict": "edge.domain",
    "decode": "edge.vision.imageio",
    "load": "edge.models.loading",
    "overlay": "edge.vision.draw",
    "to_document": "edge.vision.document",
    "to_inference": "edge.vision.findings",
}

__all__ = [
    "Finding",
    "Inference",
    "JidokaError",
    "Prediction",
    "Predictor",
    "Result",
    "Verdict",
    "decode",
    "load",
    "overlay",
    "to_document",
    "to_inference",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
