"""Is the model alive? Dead is what answers the same whatever it sees.

Never judged on 'no detections': a detector rightly finds nothing in noise. Judged are raw tensors, behind all that
rounds, clips, picks or suppresses (:mod:`edge.models.graph.lineage`), over probe inputs that differ in everything.
Constant outputs beside living ones are usual (priors, strides, counts of a suppression in the graph). Dead are:

- a model none of whose answers changes, though it should compute them from its input;
- scores that never change while the boxes beside them do;
- scores that a quantisation's step rounds to nothing: boxes in pixels and scores in 0..1 that share one scale.

Not judged: classical models (``ai.onnx.ml``), which are constant over wide ranges, and outputs of loops and branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from edge.models.graph import ModelFile
from edge.models.graph.lineage import Lineage, lineages

_BOX = 4
_BOX_RANK = 3
_WHOLE_SCORE = 1.0


class Still(Struct, frozen=True):
    """Channels after a box, along ``axis``, that never changed: from 4 to ``last``, their values, and the smallest
    difference between two numbers of the whole output.
    """

    axis: int
    last: int
    low: float
    high: float
    step: float = 0.0


class Seen(Struct, frozen=True):
    """What the trial saw of a tensor. ``moves`` is None where nothing could be compared."""

    name: str
    shape: tuple[int | None, ...] = ()
    type: str = ""
    moves: bool | None = None
    least: float | None = None
    most: float | None = None
    still: Still | None = None


def to_expose(found: Sequence[Lineage]) -> list[str]:
    """Raw tensors to be looked at where outputs do not change: those that are no outputs anyway."""
    outputs = {one.output for one in found}
    names = [raw for one in found for raw in one.raws]
    return sorted(set(names) - outputs)[:64]


def judged(model: ModelFile) -> list[Lineage]:
    """The lineages of a model's outputs; none for what is not judged."""
    if any(node.domain == "ai.onnx.ml" for node in model.graph.nodes):
        return []
    return lineages(model)


def why_dead(found: Sequence[Lineage], outputs: Sequence[Seen], raws: Mapping[str, Seen], n_probes: int) -> str:
    """The evidence in a sentence; '' for a model that lives or cannot be judged."""
    if not found:
        return ""
    if not any(one.raws or one.opaque for one in found) and not any(seen.moves for seen in outputs):
        return "no output depends on an input"
    known = {seen.name: seen for seen in outputs} | dict(raws)
    over = f"over {n_probes} probe inputs that differ"
    still = {one.output: _still(one, known) for one in found}
    followed = [one for one in found if one.raws or one.opaque]
    if n_probes > 1 and followed and all(still[one.output] for one in followed):
        return f"{_says(still[followed[0].output])} {over}"
    for one, seen in zip(found, outputs, strict=False):
        why = _scores(one, seen, still[one.output], outputs) or _columns(one, seen, known)
        if why and n_probes > 1:
            return f"{why} {over}"
    return ""


def _still(one: Lineage, known: Mapping[str, Seen]) -> list[Seen]:
    """The raw tensors of an output, if it and all of them never change; else nothing."""
    own = known.get(one.output)
    raws = [known.get(raw) for raw in one.raws]
    if own is None or own.moves is not False or one.opaque or not raws:
        return []
    there = [seen for seen in raws if seen is not None and seen.moves is False]
    return there if len(there) == len(raws) else []


def _says(tensors: Sequence[Seen]) -> str:
    seen = tensors[0]
    if seen.least is not None and seen.least == seen.most:
        return f"tensor {seen.name[:60]!r} is {seen.least:g} everywhere"
    return f"tensor {seen.name[:60]!r} never changes"


def _scores(one: Lineage, seen: Seen, still: Sequence[Seen], outputs: Sequence[Seen]) -> str:
    """An output of scores beside one of boxes for the same rows."""
    if seen.moves is not False or not one.scores:
        return ""
    boxes = [b.name for b in outputs if b.moves and len(b.shape) == _BOX_RANK and b.shape[2] == _BOX]
    rows = {b.shape[1] for b in outputs if b.name in boxes}
    if not boxes or rows.isdisjoint(seen.shape[1:]):
        return ""
    if one.step > _WHOLE_SCORE:
        return f"scores {seen.name[:60]!r} move in steps of {one.step:.3g}, so that they are always {seen.most or 0:g}"
    return f"{_says(still)}, while the boxes of {boxes[0][:60]!r} change," if still else ""


def _columns(one: Lineage, seen: Seen, known: Mapping[str, Seen]) -> str:
    """An output of boxes and scores in one."""
    still = seen.still
    if still is None:
        return ""
    value = f"{still.low:g}" if still.low == still.high else f"{still.low:g} to {still.high:g}"
    where = (
        f"of {seen.name[:60]!r} channels {_BOX} to {still.last} (scores) are always {value}, while its boxes change,"
    )
    step = one.step or still.step
    if step > _WHOLE_SCORE and still.low == still.high == 0.0:
        return f"{where} as its numbers move in steps of {step:.3g}: boxes and scores share one quantisation scale,"
    dead = [raw for raw in one.raws if (inner := known.get(raw)) is not None and inner.moves is False]
    return where if dead and not one.opaque else ""


def seen_of(row: Mapping[str, Any]) -> Seen:
    """From the trial's document."""
    import msgspec

    return msgspec.convert({k: v for k, v in row.items() if k in Seen.__struct_fields__}, Seen)
