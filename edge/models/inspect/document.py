"""What was found out about a file, as the one JSON document that ``jidoka model inspect --json`` prints."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.models.guard import Signature, Tensor
from edge.models.inspect.bare import Examined
from edge.models.inspect.licence import UNKNOWN, licence_of, warnings_of
from edge.models.inspect.probing import Probed
from edge.models.series.manifest import SeriesManifest
from edge.models.toml import lean

_SERIES, _SERIES_RAW = 0.7, 0.2
"""How sure one can be of a series model: names of skl2onnx and shapes tell its kind, never what channels mean."""


def to_document(found: Examined, source: str, sha256: str) -> dict[str, Any]:
    """``task``, ``head`` (its name) with ``head_options``, ``preprocess`` (the table ``[input]``), ``labels``,
    ``confidence`` 0..1 of the whole, ``unsure`` and ``warnings`` (sentences), ``licence``; then ``proposals`` (confidence
    and evidence by part), ``probe`` (what a picture decided, None without one), ``inputs``, ``outputs``, ``producer``,
    ``source``, ``sha256``.
    """
    proposal, facts = found.proposal, found.facts
    manifest = proposal.manifest
    output = msgspec.to_builtins(manifest.output)
    return {
        "source": source,
        "sha256": sha256,
        "producer": facts.producer,
        "task": manifest.model.task,
        "head": output["head"],
        "head_options": {k: v for k, v in output.items() if k != "head"},
        "preprocess": msgspec.to_builtins(manifest.input),
        "labels": list(manifest.model.labels),
        "confidence": proposal.overall,
        "unsure": list(proposal.assumed),
        "licence": licence_of(facts.metadata) or UNKNOWN,
        "warnings": [*proposal.warnings, *facts.signature.warnings],
        "proposals": {
            part: {"confidence": sure, "evidence": list(proposal.evidence.get(part, ()))}
            for part, sure in proposal.confidence.items()
        },
        "probe": None,
        "inputs": [_tensor(t) for t in facts.signature.inputs],
        "outputs": [_tensor(t, seen=True) for t in facts.outputs],
        "manifest": lean(manifest),
    }


def probe_document(probed: Probed, picture: str) -> dict[str, Any]:
    """What a picture decided, axis by axis: how much sense each candidate made, and whether that tells anything."""
    return {
        "picture": picture,
        "axes": {
            axis.name: {
                "chosen": axis.chosen,
                "told": axis.told,
                "margin": axis.margin,
                "senses": axis.senses,
            }
            for axis in probed.axes
        },
    }


def series_document(
    manifest: SeriesManifest, assumed: tuple[str, ...], signature: Signature, source: str, sha256: str
) -> dict[str, Any]:
    """The same document for a model of series; ``preprocess`` is its ``[input]`` of channels."""
    output = msgspec.to_builtins(manifest.output)
    licence = licence_of(signature.metadata)
    sure = _SERIES_RAW if output["head"] == "raw" else _SERIES
    return {
        "source": source,
        "sha256": sha256,
        "producer": "",
        "task": manifest.model.task,
        "head": output["head"],
        "head_options": {k: v for k, v in output.items() if k != "head"},
        "preprocess": msgspec.to_builtins(manifest.input),
        "labels": list(manifest.model.labels),
        "confidence": sure,
        "unsure": list(assumed),
        "licence": licence,
        "warnings": [*warnings_of(licence), *signature.warnings],
        "proposals": {"task": {"confidence": sure, "evidence": ["its inputs are rows or windows of numbers"]}},
        "probe": None,
        "inputs": [_tensor(t) for t in signature.inputs],
        "outputs": [_tensor(t, seen=True) for t in signature.outputs],
        "manifest": lean(manifest),
    }


def _tensor(tensor: Tensor, *, seen: bool = False) -> dict[str, Any]:
    document: dict[str, Any] = {"name": tensor.name, "shape": list(tensor.shape), "type": tensor.type}
    return document | ({"low": tensor.low, "high": tensor.high} if seen else {})
