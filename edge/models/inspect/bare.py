"""A bare file, from its bytes to a proposal: guard first, then its structure, then the rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge.errors import ModelError
from edge.models import contract, graph, guard
from edge.models.bundle import BareFile
from edge.models.inspect.facts import Facts, gather
from edge.models.inspect.proposal import Proposal, build, propose
from edge.models.inspect.rivals import decide
from edge.models.inspect.rules.ultralytics import metadata_size_px


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """What was found out about a bare file."""

    facts: Facts
    proposal: Proposal


def examine(
    file: BareFile,
    passed: guard.Signature | None = None,
    *,
    cache: Path | None = None,
    limits: guard.GuardLimits | None = None,
) -> Examined:
    """Facts and proposal; ``passed`` is what the guard said where it was asked already. Raises ModelError: what the
    guard refuses, MODEL_INPUT_UNFIT, MODEL_HEAD_UNKNOWN.
    """
    tried = partial(guard.examine, file.onnx, file.sha256, external=file.external, cache=cache, limits=limits)
    signature = passed or tried()
    size_px = metadata_size_px(signature.metadata)
    if size_px and _free(signature):
        # Free dimensions: the size it was trained with is in its metadata.
        signature = tried(size_px=size_px)
    facts = gather(signature, structure(file), file.name)
    proposal = _settled(file, facts, propose(facts))
    spec = proposal.manifest.input
    wanted = (spec.width_px, spec.height_px)
    if _free(signature) and spec.follow == "no" and wanted != (facts.width, facts.height):
        # What was proposed is tried as it will be used. A model that does not run so keeps the size it ran with.
        try:
            signature = tried(size_px=wanted)
        except ModelError:
            return Examined(facts, proposal)
        facts = gather(signature, structure(file), file.name)
        proposal = _settled(file, facts, propose(facts))
    return Examined(facts, proposal)


def _settled(file: BareFile, facts: Facts, proposal: Proposal) -> Proposal:
    """Where two heads fit the same shapes, one run decides."""
    if proposal.guess is None or not proposal.guess.rivals:
        return proposal
    try:
        return build(facts, decide(file, facts, proposal.guess))
    except ModelError:
        return proposal


def structure(file: BareFile) -> graph.ModelFile | None:
    """The graph, where our reader can read it: the rules do without it where they must."""
    try:
        return graph.read(file.onnx)
    except ModelError:
        return None


def _free(signature: guard.Signature) -> bool:
    picture = contract.picture_of(signature)
    shape = picture.shape if picture else ()
    spatial = shape[1:3] if contract.layout_of(shape) == "nhwc" else shape[2:]
    return len(spatial) == 2 and None in spatial  # noqa: PLR2004  (height and width)
