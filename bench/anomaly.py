"""Image AUROC of memory banks on the magnetic tiles, with what may flatter it said beside it.

    python bench/anomaly.py [DATA]

The data: 40 good tiles (MT_Free) and 30 with defects (6 of each of 5 kinds), Huang et al., "Saliency of magnetic tile
surface defects". The split: good tiles sorted by name, those at even places are remembered and those at odd places are
tested with all 30 defects; then the other way round (two folds). Nothing is trained and no defect is seen before.

Three things may flatter a figure, and each is measured:

- layers are chosen by looking: so each network's layers are chosen with every second defect only, and `held out` is the
  AUROC with the others (both ways, averaged over the folds);
- tiles differ in size, and good ones differ from bad ones: `size alone` is the AUROC of how new a tile's width and
  height are; `centre` looks at 257 x 257 px of the middle at native scale, where no size is to be seen (and defects that lie
  elsewhere are not either);
- 20 against 30 pictures are few: `95 %` is an interval by bootstrap over the tested pictures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from msgspec.structs import replace

from edge.models.bank import Extractor, bank_of, extractor_of
from edge.models.bundle import BareFile, Bundle, read_any
from edge.models.inspect.bare import examine
from edge.vision.conventions import MemoryBankHead
from edge.vision.heads.memory_bank import cells_of, nearest, standardised
from edge.vision.imageio import decode

PLACES = 1000
MIDDLE_PX = 257
NETWORKS = {
    "deeplab.onnx": (
        ("MobilenetV2/expanded_conv_2/add", "MobilenetV2/expanded_conv_5/add"),
        ("MobilenetV2/expanded_conv_5/add", "MobilenetV2/expanded_conv_9/add"),
        ("MobilenetV2/expanded_conv_5/add", "MobilenetV2/expanded_conv_12/add"),
    ),
    "yolox_nano.onnx": (("721", "951"), ("951",), ("951", "990")),
}
Picture = np.ndarray[Any, np.dtype[np.uint8]]


def auroc(good: Any, bad: Any) -> float:
    """The share of pairs in which the bad one scores higher; equal ones count half."""
    good, bad = np.asarray(good)[None, :], np.asarray(bad)[:, None]
    return float((bad > good).mean() + 0.5 * (bad == good).mean())


def interval(good: Any, bad: Any) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    drawn = [auroc(rng.choice(good, len(good)), rng.choice(bad, len(bad))) for _ in range(1000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def features(file: Path, tensors: tuple[str, ...], fit: str) -> Callable[[Picture], Any]:
    """What a network says of the places of a picture, ``(n, d)``."""
    bare = read_any(file)
    assert isinstance(bare, BareFile)
    manifest = examine(bare).proposal.manifest
    spec = replace(manifest.input, fit=fit)
    made: Extractor = extractor_of(Bundle(replace(manifest, input=spec), bare.onnx, bare.sha256), tensors)
    return made.places


def filters(picture: Picture) -> Any:
    """Hand-made: brightness, edges, spots and four directions at three scales, averaged over 8 x 8 px of 256 x 256."""
    grey = cv2.cvtColor(cv2.resize(picture, (256, 256)), cv2.COLOR_BGR2GRAY).astype(np.float32) / 255
    maps = [grey]
    for sigma in (1, 2, 4):
        smooth = cv2.GaussianBlur(grey, (0, 0), sigma)
        maps += [smooth, np.abs(smooth - cv2.GaussianBlur(grey, (0, 0), 2 * sigma))]
        maps += [np.abs(cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx)) for dx in (0, 1)]
        for turn in range(4):
            kernel = cv2.getGaborKernel((6 * sigma | 1,) * 2, 1.2 * sigma, np.pi * turn / 4, 4 * sigma, 0.7)
            kernel -= kernel.mean()
            maps.append(np.abs(cv2.filter2D(grey, -1, kernel / np.abs(kernel).sum())))
    small = np.stack([cv2.resize(m, (32, 32), interpolation=cv2.INTER_AREA) for m in maps])
    return cells_of(MemoryBankHead(), {"maps": small[None]}).reshape(-1, len(maps))


def middle(picture: Picture) -> Picture:
    """The middle at native scale; what is smaller is mirrored at its borders."""
    height, width = picture.shape[:2]
    more_y, more_x = max(0, MIDDLE_PX - height), max(0, MIDDLE_PX - width)
    wide = cv2.copyMakeBorder(picture, 0, more_y, 0, more_x, cv2.BORDER_REFLECT)
    top, left = (wide.shape[0] - MIDDLE_PX) // 2, (wide.shape[1] - MIDDLE_PX) // 2
    return np.ascontiguousarray(wide[top : top + MIDDLE_PX, left : left + MIDDLE_PX])


def scores(look: Callable[[Picture], Any], good: list[Picture], bad: list[Picture]) -> list[tuple[Any, Any]]:
    """Scores of tested good and bad pictures, a pair a fold."""
    of_good, of_bad = [look(p) for p in good], [look(p) for p in bad]
    folds = []
    for fold in (0, 1):
        data = bank_of(np.concatenate(of_good[fold::2]), PLACES, lambda: None)

        def score(rows: Any, data: Any = data) -> float:
            return float(np.sqrt(nearest(standardised(rows, data), data["bank"]).max()))

        folds.append(([score(r) for r in of_good[1 - fold :: 2]], [score(r) for r in of_bad]))
    return folds


def said(name: str, folds: list[tuple[Any, Any]]) -> None:
    each = " ".join(f"{auroc(*fold):.3f}" for fold in folds)
    low, high = interval(np.concatenate([f[0] for f in folds]), np.concatenate([f[1] for f in folds]))
    print(f"{name:58} {each}   95 % {low:.3f} to {high:.3f}", flush=True)


def held_out(of: list[list[tuple[Any, Any]]]) -> float:
    """Layers chosen with every second defect, judged with the others."""
    seen = []
    for half in (0, 1):
        best = max(of, key=lambda folds: np.mean([auroc(g, b[half::2]) for g, b in folds]))
        seen += [auroc(g, b[1 - half :: 2]) for g, b in best]
    return float(np.mean(seen))


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("JIDOKA_TEST_DATA", "../shared/data"))
    tiles = data / "magnetic-tile"
    good_files = sorted((tiles / "MT_Free").glob("*.jpg"))
    bad_files = sorted(f for f in tiles.glob("MT_*/*.jpg") if f.parent.name != "MT_Free")
    good, bad = ([decode(f.read_bytes()) for f in files] for files in (good_files, bad_files))
    good, bad = ([p if p.ndim == 3 else cv2.cvtColor(p, cv2.COLOR_GRAY2BGR) for p in ps] for ps in (good, bad))
    print(f"{len(good)} good, {len(bad)} bad; AUROC of each fold, then of both")
    for file, choices in NETWORKS.items():
        of = []
        for tensors in choices:
            of.append(scores(features(data / "models" / file, tensors, "letterbox"), good, bad))
            said(f"{file} {' '.join(t.removeprefix('MobilenetV2/expanded_') for t in tensors)}", of[-1])
        print(f"{file} held out: {held_out(of):.3f}")
    best = NETWORKS["deeplab.onnx"][2]
    look = features(data / "models" / "deeplab.onnx", best, "stretch")
    said("deeplab.onnx, stretched", scores(look, good, bad))
    said("deeplab.onnx, centre", scores(look, [middle(p) for p in good], [middle(p) for p in bad]))
    said("hand-made filters", scores(filters, good, bad))
    said("size alone", scores(lambda p: np.log(np.array([p.shape[:2]], np.float32)), good, bad))


if __name__ == "__main__":
    main()
