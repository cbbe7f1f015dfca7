"""Encoded pictures from a camera, decoded within the house's limits, with a device's error when they are bad."""

from __future__ import annotations

from edge.errors import DeviceError, ImageError
from edge.ports import Image
from edge.vision.imageio import decode


def decode_frame(data: bytes, where: str) -> Image:
    """Bytes of one encoded picture to BGR pixels. Raises DeviceError FRAME_MALFORMED, naming ``where`` it came from."""
    try:
        return decode(data)
    except ImageError as bad:
        hint = bad.hint or "the next frame may be whole"
        raise DeviceError(
            "FRAME_MALFORMED", f"a frame of {where} cannot be used", f"{bad.what}; {bad.why}", hint
        ) from bad
