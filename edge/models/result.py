"""A prediction with what one wants to do with it at once: the typed result of the Python window."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from edge.domain import Verdict
from edge.ports import Image
from edge.vision.prediction import Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Result(Prediction):
    """What a model found in one frame; see :class:`~edge.vision.prediction.Prediction` for its arrays."""

    def draw(self, image: Image, verdict: Verdict | None = None) -> Image:
        """A new BGR picture of the frame with what was found; ``image`` uint8 ``(h, w, 3)`` BGR or ``(h, w)`` grey."""
        from edge.vision.draw import overlay  # not before somebody wants to see: a daemon's start is counted

        return overlay(image, self, verdict)

    def document(self, source: str = "") -> dict[str, Any]:
        """The JSON object that ``jidoka infer --json`` prints."""
        from edge.vision.document import to_document

        return to_document(source, self)


_NAMES = tuple(field.name for field in fields(Prediction))


def result_of(prediction: Prediction) -> Result:
    """The same numbers, not copied."""
    return Result(**{name: getattr(prediction, name) for name in _NAMES})
