"""All that ``jidoka model inspect`` says, for pictures and for series, with a probe picture or without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.errors import ModelError
from edge.models import graph, guard
from edge.models.bundle import BareFile
from edge.models.files import read_bounded
from edge.models.inspect.bare import Examined, examine
from edge.models.inspect.document import probe_document, series_document, to_document
from edge.models.inspect.priors import PRIORS
from edge.models.inspect.probing import Probed, probe
from edge.models.inspect.proposal import build
from edge.models.series.propose import looks_like_series, propose
from edge.vision import imageio

MAX_PICTURE_BYTES = 32 * 1024**2


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What was found out: ``pictures`` is None for a model of series."""

    document: dict[str, Any]
    pictures: Examined | None = None


def look(file: BareFile, source: str, picture: Path | None = None) -> Looked:
    """Raises ModelError; ImageError for a probe picture that cannot be read."""
    image = None if picture is None else imageio.decode(read_bounded(picture, MAX_PICTURE_BYTES, "IMAGE"))
    signature = first_look(file)
    if signature is not None and looks_like_series(signature):
        manifest, assumed = propose(signature, graph.read(file.onnx), file.name)
        return Looked(series_document(manifest, assumed, signature, source, file.sha256))
    found = examine(file)
    if image is None:
        return Looked(to_document(found, source, file.sha256), found)
    probed = probe(file, found, image)
    found = with_probe(found, probed)
    document = to_document(found, source, file.sha256)
    return Looked(document | {"probe": probe_document(probed, str(picture))}, found)


def first_look(file: BareFile) -> guard.Signature | None:
    """What the guard's trial sees at its own size; None where the model does not run so (the way of pictures tries
    others, and says what is wrong).
    """
    try:
        return guard.examine(file.onnx, file.sha256, external=file.external)
    except ModelError as error:
        if error.code != "MODEL_RUN_FAILED":
            raise
        return None


def with_probe(found: Examined, probed: Probed) -> Examined:
    """The proposal with what a picture decided in it."""
    old = found.proposal
    if old.guess is None:
        return found
    made = build(found.facts, old.guess, changes=probed.changes)
    told = {axis.name for axis in probed.axes if axis.told}
    doubt = PRIORS[old.guess.prior or "unknown"].unsure
    assumed = tuple(one for one in made.assumed if one != doubt or not {"scale", "color"} <= told)
    sure = made.confidence | ({} if probed.confidence is None else {"preprocess": probed.confidence})
    evidence = made.evidence | {"preprocess": (*made.evidence["preprocess"], *probed.evidence)}
    new = replace(made, assumed=(*assumed, *probed.sentences), confidence=sure, evidence=evidence)
    return Examined(found.facts, new)
