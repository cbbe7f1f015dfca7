"""What is said of the whole picture: a score a class, or one number."""

from __future__ import annotations

from edge.models.bundle import MAX_LABELS
from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import FAIR, LIKELY, Guess, shown
from edge.vision.conventions import AnomalyHead, ClassifyHead
from edge.vision.spec import Activation

_SMALL_PX = 64
_IMAGENET = {1000, 1001}
_MNIST = 10


def classify(facts: Facts) -> Guess | None:
    """``[1, C]``, ``[1, C, 1, 1]`` or ``[1, 1, 1, C]``."""
    if not facts.outputs or not facts.height:
        return None
    output = facts.outputs[0]
    shape = tuple(d or 0 for d in output.shape)
    # Features beside the scores are common (timm, two-headed exports): only one output may look like scores.
    others = [o for o in facts.outputs[1:] if len([d for d in o.shape if d != 1]) <= 1 and (o.shape or (0,))[-1] != 1]
    inner = [d for d in shape if d != 1]
    if len(shape) < 2 or shape[0] != 1 or len(inner) != 1 or others:  # noqa: PLR2004  (rank)
        return None
    n = inner[0]
    if not 1 < n <= MAX_LABELS or len(shape) == 3:  # noqa: PLR2004  (a table with one row is none)
        return None
    applied = facts.applied(output.name)
    activation: Activation = "none" if applied else "softmax"
    evidence = [f"the output is {shown(shape)}: one score for each of {n} classes"]
    evidence.append(f"values are 0..1 already ({applied})" if applied else "values are logits, softmax is applied")
    label_set = {1000: "imagenet-1k", 1001: "imagenet-1001"}.get(n, "")
    unsure: list[str] = []
    if applied == "range":
        unsure.append('the trial\'s values happened to be 0..1: if they are logits, set output.activation = "softmax"')
    small = max(facts.height, facts.width) <= _SMALL_PX
    if small and n == _MNIST and facts.channels == 1:
        label_set = "mnist"
        unsure.append("digits are taken to be white on black, as MNIST has them: invert pictures of dark digits")
    return Guess(
        ClassifyHead(activation=activation),
        n,
        LIKELY if n in _IMAGENET or label_set else FAIR,
        tuple(evidence),
        _prior(facts, n, small=small),
        label_set=label_set,
        unsure=tuple(unsure),
        size_px=(224, 224),
    )


def _prior(facts: Facts, n: int, *, small: bool) -> str:
    if small:
        return "mnist" if facts.channels == 1 else "tiny"
    if facts.inside is not None:
        return "inside"
    if facts.convolutions == 1 and any(i.name == "pixel_values" for i in facts.signature.inputs):
        return "transformers-vit"
    if facts.layout == "nhwc" or facts.producer in {"tf2onnx", "keras"}:
        return "keras-classify"
    if "paddle" in facts.producer:
        return "paddle-classify"
    if n == 1000 and facts.producer in {"caffe", "mxnet"} or "LRN" in facts.ops:  # noqa: PLR2004, RUF021
        return "caffe-classify"
    return "torch-classify"


def score(facts: Facts) -> Guess | None:
    """One number for a picture: an anomaly score."""
    if len(facts.only) > 2 or not facts.height or facts.only not in {(1,), (1, 1)}:  # noqa: PLR2004  (rank)
        return None
    evidence = ("one number for a picture: how unlike good ones it is",)
    unsure = (
        "one number may also be the probability of the second of two classes, or a measure",
        "no threshold is known: `jidoka model calibrate BUNDLE GOOD_PICTURES` finds one",
    )
    return Guess(AnomalyHead(), 0, FAIR, evidence, "torch-classify", unsure=unsure, size_px=(224, 224))
