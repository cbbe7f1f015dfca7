"""What reads: where lines of text are, what a line says, which way up it stands. See :mod:`edge.models.ocr`."""

from __future__ import annotations

import string
from typing import Any, Literal

from edge.models.dictionary import METADATA_KEY, lines_of
from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import FAIR, LIKELY, POOR, SURE, Guess, shown
from edge.vision.conventions import ClassifyHead, CtcHead, TextBoxesHead
from edge.vision.spec import Activation

_BGR_PM1 = {"color": "bgr", "mean": (0.5,), "std": (0.5,)}
_LINE_PX = (32, 48, 64)
"""Heights of a line that recognisers take."""
_ONE_NAME = "what such models find has one name"
_FEWEST = 11
"""Ten digits and the blank."""
_ALPHABETS = {
    11: string.digits,
    37: string.digits + string.ascii_lowercase,
    63: string.digits + string.ascii_lowercase + string.ascii_uppercase,
}
"""By number of classes, the blank included, as CRNN and its kin have them (``alphabet`` in crnn.pytorch/params.py)."""


def text_lines(facts: Facts) -> Guess | None:
    """One map 0..1 of the input's size from a file that names text, or Paddle's with a free size and a transposed
    convolution at its end: differentiable binarisation (DB). Segmentation of one thing looks the same otherwise.
    """
    shape = facts.only
    if shape != (1, 1, facts.height, facts.width) or not facts.applied(facts.outputs[0].name) or facts.channels != 3:  # noqa: PLR2004
        return None
    name = facts.name.lower()
    named = any(word in name for word in ("ocr", "text", "dbnet")) and not any(w in name for w in ("rec", "cls"))
    paddle = "paddle" in facts.producer and facts.free and "ConvTranspose" in facts.ops
    if not named and not paddle:
        return None
    why = "the file's name speaks of text" if named else "by Paddle, of free size, ends in transposed convolutions"
    evidence = (f"one map {shown(shape)}, 0..1, of the input's size: lines of text (DB)", why)
    unsure = (
        "a model that segments one thing looks the same",
        "to read, pack it: `jidoka model pack DET REC -o READER`",
    )
    changes: dict[str, Any] = {"follow": "size", "multiple_px": 32} if facts.free else {"fit": "stretch"}
    torch = facts.producer == "pytorch"
    if not torch:
        changes |= _BGR_PM1
    head = TextBoxesHead(dilate=True)
    return Guess(
        head, 1, LIKELY, evidence, "torch-text-lines" if torch else "paddle-ocr", ("text",), unsure=unsure,
        input_changes=changes, size_px=(960, 960) if facts.free else None, thresholds={"score": 0.5},
        labels_why=_ONE_NAME,
    )  # fmt: skip


def characters(facts: Facts) -> Guess | None:
    """``[1, T, C]`` or ``[T, 1, C]`` over a low and wide picture, or with a dictionary in the metadata: CTC."""
    shape = facts.only
    if len(shape) != 3 or 1 not in shape[:2] or shape[2] < _FEWEST:  # noqa: PLR2004  (rank)
        return None
    listed = lines_of(facts.metadata.get(METADATA_KEY, ""))
    fits = len(listed) in {shape[2] - 1, shape[2] - 2}
    steps = max(shape[:2])
    # A line is wide and low, and its steps divide its width: 2, 4 or 8 px each, CRNN's 26 steps of 100 px about.
    low = facts.height in _LINE_PX or (_LINE_PX[0] / 2 <= facts.height <= 2 * _LINE_PX[-1] < 2 * facts.width)
    wide = facts.height in _LINE_PX or facts.width >= 2 * facts.height
    line = low and wide and steps > 1 and any(abs(facts.width / steps - px) <= 0.2 for px in (2, 4, 8))  # noqa: PLR2004
    if not fits and not line:
        return None
    alphabet = "" if listed else _ALPHABETS.get(shape[2], "")
    layout: Literal["ntc", "tnc"] = "ntc" if shape[0] == 1 else "tnc"
    # Keras and TensorFlow count the blank last (ctc_batch_cost), PyTorch and Paddle first.
    keras = facts.producer in {"tf2onnx", "keras"} and not listed
    blank: Literal["first", "last"] = "last" if keras else "first"
    head = CtcHead(layout=layout, activation=_activation(facts), characters=alphabet, blank=blank)
    evidence = [f"{steps} steps with {shape[2]} classes each, {shown(shape)}: a line of text (CTC)"]
    unsure = [f"whether class 0 or the last one is the blank is not in the file: the {blank} is taken"]
    if fits:
        evidence.append(f"the metadata's {METADATA_KEY!r} has {len(listed)} characters")
    elif alphabet:
        unsure.append(
            f"the alphabet is a guess by its length: {alphabet[:12]}…; set output.characters if it is another"
        )
    else:
        unsure.append("which characters the classes are is not in the file: a bundle names its dictionary")
    paddle = facts.channels == 3 and (fits or "paddle" in facts.producer)  # noqa: PLR2004  (colour)
    changes: dict[str, Any] = {**(_BGR_PM1 if paddle else {}), "pad_value": 128}
    if facts.free:
        changes |= {"follow": "width", "multiple_px": 320}
    height = facts.height if facts.height in _LINE_PX else _LINE_PX[1]
    return Guess(
        head, 1, SURE if fits else POOR + 0.2, tuple(evidence), "paddle-ocr" if paddle else "line", ("text",), unsure=tuple(unsure),
        input_changes=changes, size_px=(1920, height) if facts.free else None, thresholds={"score": 0.5},
        labels_why=_ONE_NAME, rivals=() if fits else (CtcHead(layout=layout, blank="last"),),
    )  # fmt: skip


def way_up(facts: Facts) -> Guess | None:
    """Two classes of a line of text: 0 and 180 degrees."""
    name = facts.name.lower()
    strip = not facts.free and facts.height in _LINE_PX and facts.width >= 3 * facts.height
    if facts.only != (1, 2) or facts.channels != 3 or not (strip or "paddle" in facts.producer):  # noqa: PLR2004  (colour)
        return None
    named = any(word in name for word in ("cls", "orient", "angle"))
    # A classifier of pictures has a fixed size; one of lines leaves it free.
    if not named and not facts.free and not strip:
        return None
    why = "a name that speaks of direction" if named else "of a shape as lines of text are"
    evidence = (f"two classes, and {why}: is a line upside down?",)
    unsure = ("the classes are taken for 0 and 180 degrees",)
    changes = {**_BGR_PM1, "pad_value": 128, **({"follow": "width", "multiple_px": 192} if facts.free else {})}
    head = ClassifyHead(activation="none" if facts.applied(facts.outputs[0].name) else "softmax")
    return Guess(
        head, 2, LIKELY if named else FAIR, evidence, "paddle-ocr", ("0", "180"), unsure=unsure, input_changes=changes,
        size_px=(192, 48) if facts.free else None, thresholds={"score": 0.9},
        labels_why=_ONE_NAME,
    )  # fmt: skip


def _activation(facts: Facts) -> Activation:
    return "none" if facts.applied(facts.outputs[0].name) else "softmax"
