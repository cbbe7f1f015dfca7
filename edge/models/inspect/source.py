"""The one file that is looked into."""

from __future__ import annotations

from pathlib import Path

from edge.errors import ModelError
from edge.models.bundle import MODEL_FILE, BareFile, read_any


def read_file(path: Path) -> BareFile:
    """A bare file; of a bundle its model. Raises ModelError as :func:`edge.models.bundle.read_any`."""
    found = read_any(path)
    if isinstance(found, BareFile):
        return found
    inner = read_any(path / MODEL_FILE)
    if not isinstance(inner, BareFile):
        raise ModelError("MODEL_NOT_A_FILE", f"{path / MODEL_FILE} is not a file")
    return BareFile(found.manifest.model.name, inner.onnx, inner.sha256, inner.external)
