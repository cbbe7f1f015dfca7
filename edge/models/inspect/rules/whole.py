"""What is said of the whole picture: a score a class, or one number."""

from __future__ import annotations

from edge.models.bundle import MAX_LABELS
from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import FAIR, LIKELY, POOR, Guess, shown
from edge.vision.conventions import AnomalyHead, ClassifyHead, RawHead
from edge.vision.spec import Activation

_SMALL_PX = 64
_IMAGENET = {1000, 1001}
_MNIST = 10
_ANOMALY_WORDS = ("anomal", "score", "dist", "error", "outlier", "padim", "patchcore", "novel")
_MEASURE_WORDS = ("yaw", "pitch", "angle", "gaze", "headpose", "head_pose", "fsanet", "regress", "coord", "bbox")


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
    if not applied and any(word in f"{facts.name} {output.name}".lower() for word in _MEASURE_WORDS):
        said = f"{n} numbers without a softmax, and a name that speaks of a measure: no classes"
        doubt = ('they are given raw; if they are classes, set output.head = "classify"',)
        return Guess(RawHead(), 0, POOR, (said,), _prior(facts, n, small=False), unsure=doubt, size_px=(224, 224))
    activation: Activation = "none" if applied else "softmax"
    evidence = [f"the output is {shown(shape)}: one score for each of {n} classes"]
    evidence.append(f"values are 0..1 already ({applied})" if applied else "values are logits, softmax is applied")
    label_set = {1000: "imagenet-1k", 1001: "imagenet-1001"}.get(n, "")
    unsure: list[str] = []
    if applied == "range":
        unsure.append('the trial\'s values happened to be 0..1: if they are logits, set output.activation = "softmax"')
    if not applied and n not in _IMAGENET and not label_set:
        unsure.append(
            f"{n} numbers without a softmax may also be a measure (angles, a place): then set output.head to raw"
        )
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
        return _grey_prior(facts) if facts.channels == 1 else "tiny"
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


def _grey_prior(facts: Facts) -> str:
    """How small grey pictures go in: by who made the file."""
    if facts.producer in {"tf2onnx", "keras"}:
        return "keras-mnist"
    return "torch-mnist" if facts.producer == "pytorch" else "mnist"


def score(facts: Facts) -> Guess | None:
    """One number for a picture: the second of two classes, an anomaly score, or a measure."""
    if len(facts.only) > 2 or not facts.height or facts.only not in {(1,), (1, 1)}:  # noqa: PLR2004  (rank)
        return None
    output = facts.outputs[0]
    names = f"{facts.name} {output.name}".lower()
    unsure: tuple[str, ...]
    if any(word in names for word in _ANOMALY_WORDS):
        evidence = ("one number for a picture, and a name that speaks of anomalies: how unlike good ones it is",)
        unsure = (
            "one number may also be the probability of the second of two classes, or a measure",
            "no threshold is known: `jidoka model calibrate BUNDLE GOOD_PICTURES` finds one",
        )
        return Guess(AnomalyHead(), 0, FAIR, evidence, _prior(facts, 0, small=False), unsure=unsure, size_px=(224, 224))
    if facts.ends.get(output.name) == "sigmoid":
        evidence = ("one number for a picture, through a sigmoid: the probability of the second of two classes",)
        unsure = ('if it says how unlike good pictures a picture is, set output.head = "anomaly"',)
        small = max(facts.height, facts.width) <= _SMALL_PX
        head = ClassifyHead(activation="none")
        return Guess(head, 2, FAIR, evidence, _prior(facts, 2, small=small), unsure=unsure, size_px=(224, 224),
                     thresholds={"score": 0.5})  # fmt: skip
    evidence = (
        "one number for a picture without a sigmoid: a measure (an age, an angle), a logit or an anomaly score",
    )
    unsure = (
        'its number is given raw: set output.head = "classify" with activation = "sigmoid" and two labels, or "anomaly"',
    )
    return Guess(RawHead(), 0, POOR, evidence, _prior(facts, 0, small=False), unsure=unsure, size_px=(224, 224))
