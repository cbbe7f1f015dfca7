"""From facts to a manifest with reasons: rules say what the output means, habits and the graph how pictures go in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from msgspec import ValidationError

from edge.domain import ID_PATTERN
from edge.errors import ModelError
from edge.models import contract, strangers
from edge.models.bundle import LABELLED, About, Manifest
from edge.models.inspect import labels as label_sets
from edge.models.inspect.facts import Facts, Inside
from edge.models.inspect.licence import UNKNOWN, licence_of, warnings_of
from edge.models.inspect.named import names_in
from edge.models.inspect.priors import PRIORS
from edge.models.inspect.rules import RULES, Guess
from edge.vision import heads
from edge.vision.conventions import (
    HEAD_TASK,
    CtcHead,
    End2EndHead,
    LabelMapHead,
    ListedHead,
    ListedMasksHead,
    ListedPointsHead,
    RawHead,
)
from edge.vision.spec import InputSpec

_ANY_NUMBER = (End2EndHead, LabelMapHead, ListedHead, ListedMasksHead, ListedPointsHead)
"""Heads whose tensors do not say how many classes there are."""
_IN_FILE, _SET, _NUMBERED = 0.98, 0.6, 0.3
_BYTES_FROM = 16.0
"""A mean of the first arithmetic above this is of pixels 0..255, not of 0..1."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A manifest for a bare file, and how sure of it one can be.

    ``confidence`` 0..1 and ``evidence`` by part (``task``, ``head``, ``preprocess``, ``labels``). ``assumed``: a
    sentence for each thing the file did not tell; ``doubts`` says which of them are about which part.
    """

    manifest: Manifest
    assumed: tuple[str, ...] = ()
    confidence: dict[str, float] = field(default_factory=dict)
    evidence: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    guess: Guess | None = None
    doubts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def unsettled(self, *settled: str) -> tuple[str, ...]:
        """What is still assumed when somebody who knows has said these parts."""
        gone = {sentence for part in settled for sentence in self.doubts.get(part, ())}
        return tuple(sentence for sentence in self.assumed if sentence not in gone)

    @property
    def overall(self) -> float:
        """As sure as the least sure part that decides what is found; names do not."""
        return min((v for k, v in self.confidence.items() if k != "labels"), default=0.0)


def propose(facts: Facts) -> Proposal:
    """A manifest. Raises ModelError MODEL_INPUT_UNFIT or MODEL_HEAD_UNKNOWN."""
    strangers.refuse(facts.signature.inputs)
    contract.check_input(facts.signature)
    guess = next((g for rule in RULES if (g := rule(facts)) is not None and _fits(g, facts)), None)
    if guess is None:
        seen = "; ".join(contract.describe(t) for t in (*facts.signature.inputs, *facts.outputs)[:8])
        raise ModelError(
            "MODEL_HEAD_UNKNOWN",
            "cannot tell what the model's output means",
            f"seen: {seen}",
            "put it in a bundle whose model.toml says so",
        )
    return build(facts, guess)


def _fits(guess: Guess, facts: Facts) -> bool:
    """The head itself must take these shapes: a rule and its head cannot drift apart."""
    if isinstance(guess.head, CtcHead) and not guess.head.characters:
        return True  # its characters are completed when it is loaded
    n = len(guess.labels) or guess.n_labels
    return not heads.HEADS[type(guess.head)].wants(guess.head, facts.shapes, n)


def build(facts: Facts, guess: Guess, *, changes: dict[str, Any] | None = None) -> Proposal:
    """The manifest of a guess; ``changes`` of InputSpec are what a probe picture showed."""
    spec, spec_sure, spec_why, spec_unsure = input_of(facts, guess, changes or {})
    names, names_sure, names_why, names_unsure = _labels(guess, facts)
    task = HEAD_TASK[type(guess.head)]
    licence = licence_of(facts.metadata)
    about = About(
        name=facts.name if ID_PATTERN.fullmatch(facts.name) else "model",
        task=task,
        labels=names,
        licence="" if licence == UNKNOWN else licence,
    )
    try:
        manifest = Manifest(model=about, input=spec, output=guess.head, **_thresholds(guess))
    except (ValueError, ValidationError) as error:
        raise ModelError("MODEL_HEAD_UNKNOWN", "the model's own description is not usable", str(error)) from error
    sure = {
        "task": min(1.0, guess.confidence + 0.05) if not isinstance(guess.head, RawHead) else guess.confidence,
        "head": guess.confidence,
        "preprocess": spec_sure,
        "labels": names_sure,
    }
    return Proposal(
        manifest,
        (*guess.unsure, *spec_unsure, *names_unsure),
        {k: round(v, 2) for k, v in sure.items()},
        {"task": guess.evidence[:1], "head": guess.evidence, "preprocess": spec_why, "labels": names_why},
        warnings_of(licence),
        guess,
        {"head": guess.unsure, "preprocess": spec_unsure, "labels": names_unsure},
    )


def _thresholds(guess: Guess) -> dict[str, Any]:
    from edge.vision.spec import Thresholds

    return {"thresholds": Thresholds(**guess.thresholds)} if guess.thresholds else {}


Part = tuple[float, tuple[str, ...], tuple[str, ...]]


def input_of(
    facts: Facts, guess: Guess, changes: dict[str, Any]
) -> tuple[InputSpec, float, tuple[str, ...], tuple[str, ...]]:
    """Spec, confidence, evidence and doubts of how pictures go in."""
    prior = PRIORS[guess.prior or "unknown"]
    fields: dict[str, Any] = {"layout": facts.layout, **prior.fields, **guess.input_changes}
    sure = prior.confidence
    why = [f"habit: {prior.source}"]
    unsure = [prior.unsure] if prior.unsure else []
    width, height = facts.width, facts.height
    if facts.free and guess.size_px:
        width, height = guess.size_px
    if facts.free and not fields.get("follow"):
        told = "imgsz" in facts.metadata
        (why if told else unsure).append(f"the input's size is free: {width} x {height} px is taken")
    dtype = contract.dtype_of(facts.signature)
    if facts.inside is not None:
        fields, sure, said = _around(facts.inside, fields, sure)
        why.append(said)
        unsure = []
    if dtype in contract.WHOLE:
        fields |= {"scale": 1.0, "mean": (0.0,), "std": (1.0,)}
        why.append("the input takes bytes: 0..255 as they are")
        sure, unsure = max(sure, 0.9), []
    if facts.channels == 3 and fields.get("color") == "gray":  # noqa: PLR2004  (colour channels)
        fields = fields | {"color": "rgb"}
    if facts.channels == 1 and fields.get("color") != "gray":
        fields = _grey(fields)
        why.append("the input has one channel: grey")
    if facts.layout == "nhwc":
        why.append("the input has its channels last")
    if changes:
        fields |= changes
    return InputSpec(width_px=width, height_px=height, **fields), sure, tuple(why), tuple(unsure)


def _grey(fields: dict[str, Any]) -> dict[str, Any]:
    """One channel: colour statistics become their average."""
    fields = dict(fields) | {"color": "gray"}
    for name in ("mean", "std"):
        values = fields.get(name, ())
        if len(values) > 1:
            fields[name] = (round(math.fsum(values) / len(values), 4),)
    return fields


def _around(inside: Inside, fields: dict[str, Any], sure: float) -> tuple[dict[str, Any], float, str]:
    """What is left to do outside where the graph normalises itself."""
    mean, ops = inside.mean, ", ".join(inside.ops)
    rest = {k: v for k, v in fields.items() if k not in {"scale", "mean", "std"}}
    steep = max(abs(g) for g in inside.gain)
    if max(mean) > _BYTES_FROM or steep < 0.1:  # noqa: PLR2004  (x / 255, / 127.5, / 58: of bytes)
        said = f"the graph begins with {ops}: it takes 0..255 and normalises itself"
        if len(mean) == 3 and mean[0] + 5 < mean[2]:  # noqa: PLR2004  (Caffe's order: blue 104, green 117, red 123)
            rest["color"] = "bgr"
            said += "; its means are in the order of BGR"
        elif len(mean) == 3 and mean[0] > mean[2] + 5:  # noqa: PLR2004  (123, 117, 104)
            rest["color"] = "rgb"
            said += "; its means are in the order of RGB"
        return rest | {"scale": 1.0}, max(sure, 0.85), said
    if max(mean) > 0.05 or steep > 1.5:  # noqa: PLR2004  (0.485 / 0.229, or 2 x - 1: of 0..1)
        return rest, max(sure, 0.8), f"the graph begins with {ops}: it takes 0..1 and normalises itself"
    return fields, sure, f"the graph begins with {ops}, which is no normalisation we know"


def _labels(guess: Guess, facts: Facts) -> tuple[tuple[str, ...], float, tuple[str, ...], tuple[str, ...]]:
    task = HEAD_TASK[type(guess.head)]
    if guess.labels_why:
        return guess.labels, 1.0, (guess.labels_why,), ()
    if guess.labels:
        return guess.labels, _IN_FILE, (f"{len(guess.labels)} names are in the metadata",), ()
    if task not in LABELLED:
        return (), 1.0, ("this task has no labels",), ()
    n = guess.n_labels
    named = names_in(facts.metadata)
    if named and (len(named) == n or isinstance(guess.head, _ANY_NUMBER)):
        return named, _IN_FILE, (f"{len(named)} names are in the metadata",), ()
    name = guess.label_set or label_sets.by_count(task, n)
    if name and len(label_sets.label_set(name)) == n:
        found = label_sets.label_set(name)
        sure = 0.9 if n == 1 or guess.label_set in {"mnist", "face"} else _SET
        doubt = f"names are a guess: {n} classes are usually {name} ({', '.join(found[:3])}, …); --labels gives others"
        return found, sure, (f"{n} classes: built-in set {name}",), (doubt,)
    return (
        tuple(map(str, range(n))),
        _NUMBERED,
        ("the file has no names",),
        ("names are numbers: --labels gives others",),
    )
