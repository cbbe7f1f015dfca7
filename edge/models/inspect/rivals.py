"""Shapes that fit two conventions: one run on a picture shows which it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from msgspec.structs import replace as replace_head
from numpy.typing import NDArray

from edge.models import contract
from edge.models.bundle import BareFile
from edge.models.inspect.facts import Facts
from edge.models.inspect.rules import Guess
from edge.models.runner import OnnxRunner
from edge.vision.conventions import CtcHead, End2EndHead, YoloObbHead, YoloPoseHead
from edge.vision.conventions.yolo import Column

_SCORE, _CLASS, _BOX = 4, 5, 4
_FRACTIONS_TO = 1.5
"""Boxes as fractions of the input leave it a little at most."""
_PIXELS_FROM = 2.0
"""Scores of 0..1 never reach this; coordinates in pixels do at once."""


def decide(file: BareFile, facts: Facts, guess: Guess) -> Guess:
    """The guess, or the rival that the numbers of one run are like. Raises ModelError MODEL_RUN_FAILED."""
    if not guess.rivals or facts.others or not facts.signature.probe_shape:
        return guess
    if isinstance(guess.head, CtcHead):
        return _blank(file, facts, guess)
    table = _run(file, facts)
    if table is None:
        return guess
    for rival in guess.rivals:
        match rival:
            case End2EndHead(unit="normalised"):
                return _columns(guess, table)
            case End2EndHead():
                return _finished(guess, table)
            case YoloPoseHead() if float(table[_BOX + 1 :].max()) > _PIXELS_FROM:
                said = "tried on noise: what would be scores are pixels: points"
                return replace(guess, head=rival, n_labels=1, evidence=(*guess.evidence, said), unsure=())
            case YoloObbHead() if float(table[-1].min()) < 0 or float(table[-1].max()) > 1:
                said = "tried on noise: the last row leaves 0..1: it is an angle"
                n = guess.n_labels - 1
                return replace(guess, head=rival, n_labels=n, evidence=(*guess.evidence, said), unsure=())
    said = "tried on noise: all rows but the box stay within 0..1: scores"
    return replace(guess, evidence=(*guess.evidence, said), unsure=())


def _blank(file: BareFile, facts: Facts, guess: Guess) -> Guess:
    """On what holds no text, most steps say 'no character': the first class or the last."""
    steps = _answer(file, facts).reshape(-1, max(facts.only)) if facts.only[-1] == max(facts.only) else None
    if steps is None:
        return guess
    likeliest = steps.argmax(axis=1)
    first, last = int((likeliest == 0).sum()), int((likeliest == steps.shape[1] - 1).sum())
    if max(first, last) * 2 < len(likeliest) or first == last:
        return guess
    said = f"tried on noise: {max(first, last)} of {len(likeliest)} steps say class {'0' if first > last else 'last'}: the blank"
    rest = tuple(one for one in guess.unsure if "the blank is" not in one)
    head = replace_head(guess.head, blank="first" if first > last else "last")
    return replace(guess, head=head, evidence=(*guess.evidence, said), unsure=rest)


def _finished(guess: Guess, table: NDArray[Any]) -> Guess:
    """Finished rows have whole class numbers, scores of 0..1 and corners in order; a grid has none of these."""
    numbers, scores = table[:, _CLASS], table[:, _SCORE]
    whole = _whole(numbers) and float(numbers.min()) >= 0
    ordered = bool((table[:, 2] >= table[:, 0]).all() and (table[:, 3] >= table[:, 1]).all())
    if whole and ordered and scores.min() >= 0 and scores.max() <= 1:
        said = "tried on noise: whole class numbers, scores and corners in order: finished rows"
        found = replace(guess, head=End2EndHead(), n_labels=80, evidence=(said,), prior="yolo")
        return _columns(found, table)
    return replace(guess, evidence=(*guess.evidence, "tried on noise: no whole class numbers: a grid of one class"))


def _columns(guess: Guess, table: NDArray[Any]) -> Guess:
    """What finished rows hold: fractions or pixels, corners or centre and size, score or class first."""
    boxes, fifth, sixth = table[:, :_BOX], table[:, _SCORE], table[:, _CLASS]
    if not np.isfinite(table).all() or not boxes.any():
        return guess  # nothing was found in noise: there is nothing to tell from
    score_last = _whole(fifth) and not _whole(sixth) and float(sixth.min()) >= 0 and float(sixth.max()) <= 1
    last: tuple[Column, Column] = ("label", "score") if score_last else ("score", "label")
    said = ["tried on noise: the fifth number is the class, the sixth the score"] if score_last else []
    if float(np.abs(boxes).max()) > _FRACTIONS_TO:
        head = End2EndHead(columns=("x1", "y1", "x2", "y2", *last))
        return replace(guess, head=head, evidence=(*guess.evidence, *said))
    corners = bool((boxes[:, 2] >= boxes[:, 0]).all() and (boxes[:, 3] >= boxes[:, 1]).all())
    sides: tuple[Column, ...] = ("x1", "y1", "x2", "y2") if corners else ("cx", "cy", "w", "h")
    said.append("tried on noise: boxes are fractions of the input, " + ("corners" if corners else "centre and size"))
    prior = {"ultralytics": "ultralytics-rtdetr"}.get(guess.prior, "rtdetr")
    head = End2EndHead(columns=(*sides, *last), unit="normalised")
    return replace(guess, head=head, evidence=(*guess.evidence, *said), prior=prior)


def _whole(numbers: NDArray[Any]) -> bool:
    return bool((numbers == np.round(numbers)).all())


def _run(file: BareFile, facts: Facts) -> NDArray[Any] | None:
    """The first output on noise, without its leading 1."""
    table = _answer(file, facts)
    if table.ndim == 2:  # noqa: PLR2004  (rows without a leading 1)
        return table if table.size else None
    return table[0] if table.ndim == 3 and table.shape[0] == 1 and table.size else None  # noqa: PLR2004  (rank)


def _answer(file: BareFile, facts: Facts) -> NDArray[Any]:
    """The first output on noise."""
    runner = OnnxRunner(file.onnx, file.external)
    kind = np.dtype(contract.dtype_of(facts.signature))
    noise = np.random.default_rng(1).random(facts.signature.probe_shape)
    blob = (noise * 255).astype(kind) if kind.kind in "ui" else noise.astype(kind)
    picture = contract.picture_of(facts.signature)
    assert picture is not None
    return np.asarray(runner.run({picture.name: blob})[0], np.float64)
