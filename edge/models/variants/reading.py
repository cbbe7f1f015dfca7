"""A bundle with one of its variants in the place of its model."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from edge.errors import ModelError
from edge.models.bundle import MANIFEST_FILE, MAX_MODEL_BYTES, Bundle, sha256_of
from edge.models.files import read_bounded
from edge.models.series.manifest import SeriesBundle
from edge.models.variants.table import ORIGINAL, Variant

AnyBundle = TypeVar("AnyBundle", Bundle, SeriesBundle)

_AGAIN = "make it again with `jidoka model quantize`"


def with_variant(found: AnyBundle, name: str) -> AnyBundle:
    """The bundle as if the variant were its model: its bytes, its sha256; itself for ``original``.

    Raises ModelError MODEL_VARIANT_UNKNOWN, MODEL_VARIANT_STALE, MODEL_CHECKSUM, and those of reading a file.
    """
    if name == ORIGINAL:
        return found
    row = row_of(found, name)
    return replace(found, onnx=_read(found, row), sha256=row.sha256, external={}, variant=name)


def row_of(found: Bundle | SeriesBundle, name: str) -> Variant:
    """The variant's row in the manifest. Raises ModelError MODEL_VARIANT_UNKNOWN."""
    for row in found.manifest.variant:
        if row.name == name:
            return row
    names = ", ".join((ORIGINAL, *(row.name for row in found.manifest.variant)))
    raise ModelError("MODEL_VARIANT_UNKNOWN", f"the bundle has no variant {name!r}", f"it has {names}", _AGAIN)


def _read(found: Bundle | SeriesBundle, row: Variant) -> bytes:
    assert found.folder is not None, "only a folder has variants"
    if row.of != found.sha256:
        why = "the bundle's model is another one now, and nothing says that they agree"
        raise ModelError("MODEL_VARIANT_STALE", f"variant {row.name!r} was made from another model", why, _AGAIN)
    data = read_bounded(found.folder / row.file, MAX_MODEL_BYTES)
    if sha256_of(data) != row.sha256:
        what = f"{found.folder / row.file} is not the file that {MANIFEST_FILE} lists"
        raise ModelError("MODEL_CHECKSUM", what, "its sha256 differs", _AGAIN)
    return data
