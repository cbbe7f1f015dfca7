"""A predictor for frames that are larger than what its model should see at once: tile by tile, and then as one.

Its surface is that of :class:`Predictor`. Tiles are made ready when it is their turn: all of them at once would take
the memory of so many inputs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.models.predictor import Predictor, Prepared, RawOutputs
from edge.models.result import Result
from edge.ports import Image
from edge.vision import heads
from edge.vision.geometry import Geometry
from edge.vision.heads.anomaly import judged
from edge.vision.prediction import Prediction, Timings
from edge.vision.region import Region, cut, move_back
from edge.vision.tiles import Canvas, put_together, tiles_of


@dataclass(slots=True, eq=False)
class PreparedTiles(Prepared):
    """A frame and where its tiles lie."""

    image: Image = field(kw_only=True)
    tiles: list[Region] = field(kw_only=True)


@dataclass(frozen=True, slots=True, eq=False)
class TileOutputs(RawOutputs):
    """What the model said of each tile, with the geometry of each."""

    each: list[tuple[RawOutputs, Geometry]] = field(kw_only=True)
    preprocess_ms: float = field(kw_only=True)


class TiledPredictor(Predictor):
    """``inner`` with its manifest's ``[tiling]``."""

    def __init__(self, inner: Predictor) -> None:  # what a predictor has is inner's
        assert inner.manifest.tiling is not None
        self._inner = inner
        self._tiling = inner.manifest.tiling
        self.manifest, self.ref, self.assumed = inner.manifest, inner.ref, inner.assumed
        self._head = inner.head

    @property
    def data(self) -> Mapping[str, NDArray[Any]]:
        """As of the inner one."""
        return self._inner.data

    def with_min_score(self, min_score: float) -> Predictor:
        """The same with one threshold for all labels."""
        return TiledPredictor(self._inner.with_min_score(min_score))

    def preprocess(self, image: Image) -> Prepared:
        """Where the tiles lie; a frame that is one tile is made ready at once. Raises ImageError."""
        tiles = tiles_of(image.shape[1], image.shape[0], self._tiling)
        if len(tiles) == 1:
            return self._inner.preprocess(image)
        height, width = image.shape[:2]
        whole = Geometry(width, height, width, height, 1.0, 1.0, 0.0, 0.0)
        return PreparedTiles(whole, 0.0, None, image=image, tiles=tiles)

    def run(self, prepared: Prepared) -> RawOutputs:
        """Run the model on each tile."""
        if not isinstance(prepared, PreparedTiles):
            return self._inner.run(prepared)
        each = []
        preprocess_ms = infer_ms = 0.0
        for tile in prepared.tiles:
            ready = self._inner.preprocess(cut(prepared.image, tile)[0])
            outputs = self._inner.run(ready)
            preprocess_ms, infer_ms = preprocess_ms + ready.preprocess_ms, infer_ms + outputs.infer_ms
            each.append((outputs, ready.geometry))
        return TileOutputs({}, infer_ms, each=each, preprocess_ms=preprocess_ms)

    def postprocess(self, outputs: RawOutputs, prepared: Prepared, mm_per_px: float | None = None) -> Prediction:
        """What the tiles say of the frame."""
        if not isinstance(prepared, PreparedTiles) or not isinstance(outputs, TileOutputs):
            return self._inner.postprocess(outputs, prepared, mm_per_px)
        started_ns = time.perf_counter_ns()
        head = heads.HEADS[type(self._head)]
        if head.maps is None:
            found = self._listed(outputs, prepared, mm_per_px)
        else:
            found = self._stitched(head, outputs, prepared, mm_per_px)
        postprocess_ms = (time.perf_counter_ns() - started_ns) / 1e6
        return replace(found, timings=Timings(outputs.preprocess_ms, outputs.infer_ms, postprocess_ms))

    def context(
        self, geometry: Geometry, mm_per_px: float | None = None, blob: NDArray[Any] | None = None
    ) -> heads.Context:
        """As of the inner one."""
        return self._inner.context(geometry, mm_per_px, blob)

    def _listed(self, outputs: TileOutputs, prepared: PreparedTiles, mm_per_px: float | None) -> Prediction:
        """Rows of all tiles."""
        shape = prepared.image.shape
        parts = []
        for (raw, geometry), tile in zip(outputs.each, prepared.tiles, strict=True):
            part = heads.decode(self._head, raw.tensors, self.context(geometry, mm_per_px, raw.blob))
            parts.append(move_back(part, tile[:2], shape))
        thresholds = self.manifest.thresholds
        return put_together(parts, prepared.tiles, self._tiling.same, thresholds.iou, thresholds.max_detections)

    def _stitched(
        self, head: heads.Head, outputs: TileOutputs, prepared: PreparedTiles, mm_per_px: float | None
    ) -> Prediction:
        """One map of all tiles, and of anomalies the worst tile's score: a frame is as bad as its worst place."""
        assert head.maps is not None
        anomalies = self.manifest.model.task == "anomaly"
        canvas: Canvas | None = None
        parts: list[Prediction] = []
        width, height = prepared.geometry.frame_width_px, prepared.geometry.frame_height_px
        for (raw, geometry), tile in zip(outputs.each, prepared.tiles, strict=True):
            heads.check_shapes(self._head, {n: t.shape for n, t in raw.tensors.items()}, len(self.labels))
            context = self.context(geometry, mm_per_px, raw.blob)
            maps = head.maps(self._head, raw.tensors, context)
            if anomalies:
                # Where the score is the map's, it need not be computed twice.
                if head.from_maps is not None:
                    parts.append(head.from_maps(self._head, maps, context))
                else:
                    parts.append(heads.decode(self._head, raw.tensors, context))
            if len(maps):
                canvas = canvas or Canvas(width, height, maps, geometry, self._tiling.overlap)
                canvas.add(maps, geometry, tile)
        stitched, over = (np.empty((0, 1, 1), np.float32), prepared.geometry) if canvas is None else canvas.maps()
        context = self.context(over, mm_per_px)
        if not anomalies:
            assert head.from_maps is not None
            return head.from_maps(self._head, stitched, context)
        seen = [part.anomaly for part in parts if part.anomaly is not None]
        return judged(
            stitched[0] if len(stitched) else None,
            max(one.score for one in seen),
            context,
            normalised=bool(getattr(self._head, "normalised", False)),
            score_is_of_map=all(one.score == one.map_max for one in seen),
        )

    def warm_up(self) -> Result:
        """As of the inner one: a frame is no more than several of its runs."""
        return self._inner.warm_up()
