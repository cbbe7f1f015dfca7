"""A proposal in a few words, for people."""

from __future__ import annotations

from typing import Any

from edge.models.bundle import Manifest
from edge.models.toml import lean
from edge.vision.spec import InputSpec

_SHOWN = 4


def spoken(manifest: Manifest) -> dict[str, str]:
    """``task``, ``head``, ``preprocess``, ``labels``."""
    output = lean(manifest.output)
    name = output.pop("head")
    options = ", ".join(f"{k} = {_value(v)}" for k, v in output.items())
    labels = manifest.model.labels
    shown = ", ".join(labels[:_SHOWN]) + (", …" if len(labels) > _SHOWN else "")
    return {
        "task": manifest.model.task,
        "head": f"{name} ({options})" if options else name,
        "preprocess": pixels(manifest.input),
        "labels": f"{len(labels)}: {shown}" if labels else "none",
    }


def pixels(spec: InputSpec) -> str:
    """``320 x 320 RGB, x / 255, letterbox``."""
    scale = "x" if spec.scale == 1 else "x / 255" if abs(spec.scale * 255 - 1) < 1e-6 else f"x * {spec.scale:.6g}"  # noqa: PLR2004
    if any(spec.mean) or set(spec.std) != {1.0}:
        scale = f"({scale} - {_numbers(spec.mean)}) / {_numbers(spec.std)}"
    fit = f"follows the frame's {spec.follow}" if spec.follow != "no" else spec.fit
    if spec.fit == "letterbox" and spec.follow == "no":
        fit += f" {'centred' if spec.anchor == 'center' else 'top left'}, padding {spec.pad_value}"
    size = f"{spec.width_px} x {spec.height_px}"
    return f"{size} {spec.color.upper()} {spec.layout.upper()}, {scale}, {fit}"


def _numbers(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "[" + ", ".join(f"{v:g}" for v in values) + "]"


def _value(value: Any) -> str:
    return "…" if isinstance(value, list) and len(value) > _SHOWN else str(value)
