"""From a camera frame to the model's input in one resize and one arithmetic pass, into memory that is already there.

Fresh arrays cost more than the arithmetic (page faults): the tutorial's numpy way takes ten times as long at 640 px.
So a :class:`Workspace` keeps the resized picture, its planes and the blob; whoever uses several at once (frames in
flight, worker threads) holds one workspace for each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ImageError
from edge.ports import Blob, Image
from edge.vision.geometry import Geometry, fit
from edge.vision.spec import InputSpec

_COLOR_NDIM = 3


@dataclass(slots=True, eq=False)
class Workspace:
    """Memory for one frame on its way in. ``blob`` has shape ``(1, C, H, W)`` or ``(1, H, W, C)``, whatever the layout
    says, and belongs to one frame at a time; ``planes_of_blob`` is a view of it, always ``(C, H, W)``.
    """

    blob: Blob
    planes_of_blob: Blob
    geometry: Geometry | None = None
    resized: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    planes: list[NDArray[np.uint8]] = field(default_factory=list)


class Preprocessor:
    """Turns frames into blobs as an :class:`InputSpec` says. Itself immutable: any number of threads may share it.

    ``dtype`` is the model's: float32, float16, or uint8 and int32 (then without scaling: the graph does it).
    """

    def __init__(self, spec: InputSpec, dtype: str = "float32") -> None:
        self.spec = spec
        self.dtype = np.dtype(dtype)
        mean = np.broadcast_to(np.array(spec.mean, np.float64), spec.channels)
        std = np.broadcast_to(np.array(spec.std, np.float64), spec.channels)
        # (p * scale - mean) / std  =  p * gain + bias
        self._gain = [float(v) for v in spec.scale / std]
        self._bias = [float(v) for v in -mean / std]
        if self.dtype.kind in "ui":
            self._gain, self._bias = [1.0] * spec.channels, [0.0] * spec.channels
        self._interpolation = cv2.INTER_AREA if spec.resample == "area" else cv2.INTER_LINEAR

    def workspace(self) -> Workspace:
        """Memory for one frame in flight."""
        return self._workspace(self.spec.width_px, self.spec.height_px)

    def _workspace(self, width_px: int, height_px: int) -> Workspace:
        channels = self.spec.channels
        if self.spec.layout == "nhwc":
            blob = np.empty((1, height_px, width_px, channels), self.dtype)
            return Workspace(blob, blob[0].transpose(2, 0, 1))
        blob = np.empty((1, channels, height_px, width_px), self.dtype)
        return Workspace(blob, blob[0])

    def __call__(self, image: Image, workspace: Workspace) -> Geometry:
        """Fill ``workspace.blob``; the geometry leads back. Raises ImageError IMAGE_UNFIT for a wrong array.

        ``image``: uint8 ``(h, w, 3)`` BGR or ``(h, w)`` grey.
        """
        _check(image)
        height, width = image.shape[:2]
        geometry = workspace.geometry
        if geometry is None or (geometry.frame_width_px, geometry.frame_height_px) != (width, height):
            geometry = fit(self.spec, width, height)
            if workspace.planes_of_blob.shape[1:] != (geometry.input_height_px, geometry.input_width_px):
                other = self._workspace(geometry.input_width_px, geometry.input_height_px)
                workspace.blob, workspace.planes_of_blob = other.blob, other.planes_of_blob
            self._pad(workspace)
            workspace.geometry = geometry
        picture, inner = self._resize(image, geometry, workspace)
        if picture.ndim == _COLOR_NDIM and self.spec.color == "gray":
            picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        self._normalise(picture, inner, workspace)
        return geometry

    def _pad(self, workspace: Workspace) -> None:
        for channel, (gain, bias) in enumerate(zip(self._gain, self._bias, strict=True)):
            workspace.planes_of_blob[channel] = self.spec.pad_value * gain + bias

    def _resize(self, image: Image, geometry: Geometry, workspace: Workspace) -> tuple[Image, tuple[slice, slice]]:
        """The picture at the size it has inside the input, and where there."""
        if self.spec.fit == "crop" and self.spec.follow == "no":
            image = _visible(image, geometry)
            size = (geometry.input_width_px, geometry.input_height_px)
            left = top = 0
        else:
            size = (
                round(geometry.scale_x * geometry.frame_width_px),
                round(geometry.scale_y * geometry.frame_height_px),
            )
            left, top = int(geometry.offset_x), int(geometry.offset_y)
        inner = (slice(top, top + size[1]), slice(left, left + size[0]))
        if (image.shape[1], image.shape[0]) == size:
            return image, inner
        channels = image.shape[2] if image.ndim == _COLOR_NDIM else 1
        target = workspace.resized.get(channels)
        shape = (size[1], size[0], *image.shape[2:])
        if target is None or target.shape != shape:
            target = workspace.resized[channels] = np.empty(shape, np.uint8)
        cv2.resize(image, size, dst=target, interpolation=self._interpolation)
        return target, inner

    def _normalise(self, picture: Image, inner: tuple[slice, slice], workspace: Workspace) -> None:
        blob = workspace.planes_of_blob
        if picture.ndim == _COLOR_NDIM:
            if not workspace.planes or workspace.planes[0].shape != picture.shape[:2]:
                workspace.planes = [np.empty(picture.shape[:2], np.uint8) for _ in range(3)]
            planes: list[Any] = list(cv2.split(picture, workspace.planes))
            if self.spec.color == "rgb":
                planes.reverse()
        else:
            planes = [picture] * self.spec.channels
        for channel, plane in enumerate(planes):
            self._scale(plane, blob[channel][inner], channel)

    def _scale(self, plane: NDArray[np.uint8], target: NDArray[Any], channel: int) -> None:
        gain, bias = self._gain[channel], self._bias[channel]
        if self.dtype == np.float32:
            # One pass for factor and offset; numpy would need two, and cv2.LUT is slower than both.
            if target.strides[1] == target.itemsize:
                cv2.addWeighted(plane, gain, plane, 0.0, bias, dst=target, dtype=cv2.CV_32F)
            else:  # channels lie side by side: OpenCV writes rows of whole pixels only
                target[...] = cv2.addWeighted(plane, gain, plane, 0.0, bias, dtype=cv2.CV_32F)
        elif self.dtype.kind in "ui":
            np.copyto(target, plane)
        else:
            np.copyto(target, plane * np.float32(gain) + np.float32(bias), casting="same_kind")


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == _COLOR_NDIM and image.shape[2] == 3)):  # noqa: PLR2004  (2: grey, 3: BGR, as ports.Image says)
        raise ImageError(
            "IMAGE_UNFIT",
            f"cannot inspect an array of {image.dtype} {image.shape}",
            "pictures are uint8, (height, width, 3) in BGR order or (height, width) grey",
        )
    if 0 in image.shape:
        raise ImageError("IMAGE_UNFIT", "the picture is empty", f"its shape is {image.shape}")


def _visible(image: Image, geometry: Geometry) -> Image:
    """The part of a frame that a crop shows."""
    left = round(-geometry.offset_x / geometry.scale_x)
    top = round(-geometry.offset_y / geometry.scale_y)
    width = round(geometry.input_width_px / geometry.scale_x)
    height = round(geometry.input_height_px / geometry.scale_y)
    return image[top : top + height, left : left + width]
