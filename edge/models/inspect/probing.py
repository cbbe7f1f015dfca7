"""What only a picture can tell: colours, scale, fit. Candidates are run on it, and the one that makes sense wins.

A model that is fed rightly is confident, and says the same of a picture and of its mirror image (classifiers: of a
picture shifted a little). How much sense an answer makes is a number from 0 on; the margin between the best and the
second best decides whether the picture has told anything. One axis after the other is tried, scale first, because it
matters most; what the habits of the field say starts. Nothing runs here that did not pass the guard's trial.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import msgspec
import numpy as np

from edge.errors import JidokaError
from edge.models import contract
from edge.models.admit import Admitted
from edge.models.bundle import BareFile, Bundle, Manifest
from edge.models.inspect.bare import Examined
from edge.models.inspect.proposal import Proposal
from edge.models.inspect.rules import Guess
from edge.models.inspect.sense import sense
from edge.models.loading import predictor_of
from edge.models.predictor import Predictor
from edge.models.runner import OnnxRunner
from edge.ports import Image
from edge.vision.prediction import Prediction
from edge.vision.spec import InputSpec

BUDGET_S = 2.0
"""No new candidate is begun after so long: inspect must answer while somebody waits."""
NOTHING = 0.02
"""Below this no candidate found anything on the picture."""
CLEAR = 0.25
"""Margin from which a picture has told something against a habit of even odds; firmer habits need more."""
_LOWEST_SCORE = 0.05
_SHIFT = 0.02

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SCALES: dict[str, dict[str, Any]] = {
    "0..1": {"scale": 1 / 255, "mean": (0.0,), "std": (1.0,)},
    "0..255": {"scale": 1.0, "mean": (0.0,), "std": (1.0,)},
    "-1..1": {"scale": 1 / 255, "mean": (0.5,), "std": (0.5,)},
    "ImageNet": {"scale": 1 / 255, **_IMAGENET},
}
"""Ways to scale pixels that account for nearly all models."""
CAFFE = {"0..255 less the mean": {"scale": 1.0, "mean": (123.0, 117.0, 104.0), "std": (1.0,)}}
"""What classifiers from Caffe want, and Keras' ResNet and VGG."""
_OF_CAFFE = {"keras-classify", "caffe-classify"}


@dataclass(frozen=True, slots=True)
class Axis:
    """One question. ``senses`` has a number a candidate; ``told`` says whether the picture decided it."""

    name: str
    chosen: str
    told: bool
    margin: float
    senses: dict[str, float]


@dataclass(frozen=True, slots=True)
class Probed:
    """What a picture decided. ``sentences`` are for ``unsure`` where it could not."""

    axes: tuple[Axis, ...] = ()
    changes: dict[str, Any] = field(default_factory=dict)
    confidence: float | None = None
    evidence: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()


def probe(file: BareFile, found: Examined, image: Image, budget_s: float = BUDGET_S) -> Probed:
    """Run the candidates on a picture, uint8 BGR or grey. Raises ModelError."""
    proposal = found.proposal
    if proposal.manifest.model.task in {"raw", "codes"}:
        return Probed(sentences=("a probe picture cannot help: it is not known what the output means",))
    tried = _Trial(file, found, image, budget_s)
    spec = proposal.manifest.input
    axes: list[Axis] = []
    changes: dict[str, Any] = {}
    prior = proposal.confidence["preprocess"]
    for name, candidates in _questions(spec, found).items():
        axis = _ask(tried, name, candidates, spec, prior)
        if axis is None:
            continue
        axes.append(axis)
        picked = candidates[axis.chosen]
        spec = msgspec.structs.replace(spec, **picked)
        changes |= picked
    return _summed(tuple(axes), changes, proposal)


def _questions(spec: InputSpec, found: Examined) -> dict[str, dict[str, dict[str, Any]]]:
    """Axis -> candidate -> fields of InputSpec; the first candidate of each is what the proposal says."""
    questions: dict[str, dict[str, dict[str, Any]]] = {}
    byte_input = contract.dtype_of(found.facts.signature) in contract.WHOLE
    if not byte_input:
        questions["scale"] = _scales(spec, found.proposal.guess)
    if spec.color != "gray":
        other = "bgr" if spec.color == "rgb" else "rgb"
        questions["color"] = {spec.color: _colored(spec, spec.color), other: _colored(spec, other)}
    if spec.follow == "no" and spec.fit in {"letterbox", "stretch"}:
        fits: dict[str, dict[str, Any]] = {
            "stretch": {"fit": "stretch"},
            "letterbox": {"fit": "letterbox", "anchor": "center"},
            "letterbox top left": {"fit": "letterbox", "anchor": "top_left"},
        }
        own = "stretch" if spec.fit == "stretch" else "letterbox" if spec.anchor == "center" else "letterbox top left"
        questions["fit"] = {own: fits[own]} | {name: value for name, value in fits.items() if name != own}
    return questions


def _scales(spec: InputSpec, guess: Guess | None) -> dict[str, dict[str, Any]]:
    own: dict[str, Any] = {"scale": spec.scale, "mean": spec.mean, "std": spec.std}
    candidates: dict[str, dict[str, Any]] = {}
    usual = SCALES | (CAFFE if guess is not None and guess.prior in _OF_CAFFE else {})
    for name, value in usual.items():
        made = dict(value)
        if spec.color == "gray" and len(made["mean"]) > 1:
            continue
        if spec.color == "bgr" and len(made["mean"]) > 1:
            made |= {"mean": made["mean"][::-1], "std": made["std"][::-1]}
        if not _same(made, own):
            candidates[name] = made
    named = next((name for name, value in SCALES.items() if _same(value, own)), "as proposed")
    return {named: own} | candidates


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Equal, or so near that no model tells them apart (127 / 128 and 127.5 / 127.5)."""

    def span(one: dict[str, Any]) -> tuple[float, float]:
        mean, std = float(np.mean(one["mean"])), float(np.mean(one["std"]))
        return -mean / std, (255 * one["scale"] - mean) / std

    return all(abs(x - y) <= 0.05 * max(1.0, abs(y)) for x, y in zip(span(a), span(b), strict=True))


def _colored(spec: InputSpec, color: str) -> dict[str, Any]:
    """Another order of colours; means and deviations are turned with it, as they belong to colours."""
    if color == spec.color:
        return {"color": color}
    return {"color": color, "mean": spec.mean[::-1], "std": spec.std[::-1]}


class _Trial:
    """The model and the picture, with what time is left."""

    def __init__(self, file: BareFile, found: Examined, image: Image, budget_s: float) -> None:
        self._manifest = _lowered(found.proposal.manifest)
        self._signature = found.facts.signature
        self._file = file
        self._runner = OnnxRunner(file.onnx, file.external)
        self._image = image
        self._end = time.monotonic() + budget_s
        mirror = self._manifest.model.task not in {"classify", "ocr"}
        self._other = np.ascontiguousarray(image[:, ::-1]) if mirror else _shifted(image)
        self._mirror = mirror

    def in_time(self) -> bool:
        """Whether another candidate may begin."""
        return time.monotonic() < self._end

    def sense(self, spec: InputSpec) -> float:
        """How much sense the model makes of the picture, fed like this."""
        manifest = msgspec.structs.replace(self._manifest, input=spec)
        made = Bundle(manifest, self._file.onnx, self._file.sha256, external=self._file.external)
        predictor = predictor_of(Admitted(made, self._signature, self._runner))
        first = predictor(self._image)
        second = predictor(self._other)
        return sense(first, _mirrored(second) if self._mirror else second, variance_of(predictor, self._image))


def variance_of(predictor: Predictor, image: Image) -> float:
    """Variance of what the model is fed, in its own unit: what a reconstruction's error is measured against."""
    prepared = predictor.preprocess(image)
    assert prepared.workspace is not None
    return float(np.var(prepared.workspace.blob))


def _lowered(manifest: Manifest) -> Manifest:
    """The same with a threshold that lets weak findings be seen: they tell candidates apart, too."""
    thresholds = msgspec.structs.replace(manifest.thresholds, score=_LOWEST_SCORE, labels={})
    return msgspec.structs.replace(manifest, thresholds=thresholds)


def _shifted(image: Image) -> Image:
    """A few pixels to the side, the border repeated."""
    step = max(1, round(_SHIFT * image.shape[1]))
    matrix = np.array([[1.0, 0.0, step], [0.0, 1.0, 0.0]], np.float32)
    moved = cv2.warpAffine(image, matrix, (image.shape[1], image.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _mirrored(found: Prediction) -> Prediction:
    """What was found in the mirror image, back in the picture."""
    boxes = found.boxes.copy()
    boxes[:, [0, 2]] = found.frame_width_px - found.boxes[:, [2, 0]]
    return replace(found, boxes=boxes)


def _ask(tried: _Trial, name: str, candidates: dict[str, dict[str, Any]], spec: InputSpec, prior: float) -> Axis | None:
    senses: dict[str, float] = {}
    for candidate, changes in candidates.items():
        if senses and not tried.in_time():
            break
        try:
            senses[candidate] = round(tried.sense(msgspec.structs.replace(spec, **changes)), 4)
        except (JidokaError, ValueError):
            continue  # numbers that are not finite, say: such a candidate makes no sense
    own = next(iter(candidates))
    if len(senses) < 2 or own not in senses:  # noqa: PLR2004  (one candidate decides nothing)
        return None
    order = sorted(senses, key=lambda one: (-senses[one], one != own))
    best, second = senses[order[0]], senses[order[1]]
    margin = 0.0 if best < NOTHING else (best - second) / best
    # A habit is overruled only by an answer as clear as the habit is firm.
    needed = CLEAR if order[0] == own else CLEAR + max(0.0, prior - 0.5)
    told = margin >= needed
    return Axis(name, order[0] if told else own, told, round(margin, 3), senses)


def _summed(axes: tuple[Axis, ...], changes: dict[str, Any], proposal: Proposal) -> Probed:
    prior = proposal.confidence["preprocess"]
    if not axes:
        return Probed(sentences=("the probe picture could not be tried",))
    if max(max(axis.senses.values()) for axis in axes) < NOTHING:
        said = "on the probe picture no way of feeding finds anything: take one that shows what the model is for"
        return Probed(axes, {}, prior, (), (said,))
    evidence = [f"probe: {axis.name} {axis.chosen} ({_figures(axis)})" for axis in axes if axis.told]
    sentences = [
        f"the probe picture does not tell {axis.name}: {_figures(axis)}; {_advice(axis.name)}"
        for axis in axes
        if not axis.told
    ]
    told = {axis.name for axis in axes if axis.told}
    # Scale matters most: a picture that settles it settles half of what a habit leaves open, each other axis a part.
    open_ = (1.0 - prior) * (1.0 - 0.5 * ("scale" in told) - 0.2 * ("color" in told) - 0.1 * ("fit" in told))
    return Probed(axes, changes, round(1.0 - open_, 2), tuple(evidence), tuple(sentences))


def _figures(axis: Axis) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in sorted(axis.senses.items(), key=lambda one: -one[1]))


def _advice(name: str) -> str:
    match name:
        case "color":
            return "try pictures with strong colours (skin, red, sky), or look into the training code"
        case "fit":
            return "try a picture that is much wider than high"
        case _:
            return "try a picture that shows clearly what the model is for"
