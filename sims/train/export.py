"""From trained weights to the bundle that is shipped: ONNX, manifest, golden pictures."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch

from edge.models.bundle import About, Golden, Manifest, write
from edge.models.runtime import ort
from edge.vision.conventions import SegmentHead
from edge.vision.spec import InputSpec, Thresholds
from sims.parts import KINDS, make_parts
from sims.scene import Light, Scene
from sims.train.data import HEIGHT_PX, WIDTH_PX, to_grey
from sims.train.net import MEAN, STD, Exported, SurfaceNet

NAME = "brushed-metal"
VERSION = "1.0.0"
OPSET = 17
TOLERANCE = 1e-3
"""Between PyTorch and ONNX Runtime, and between two CPUs, in probability."""

MIN_SCORE = 0.3
"""Low, because kinds share the probability: a pit may be 0.4 pit and 0.4 scratch, and is a defect all the same."""

MIN_AREA_MM2 = 1.0

_GOLDEN_SEED = 77


def to_onnx(net: SurfaceNet) -> bytes:
    """The network with softmax, one frame at a time: ``image`` float32 (1, 1, 240, 320) -> ``maps`` (1, 5, 120, 160)."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # the tracing exporter is said to be on its way out; the newer one needs one more package for the same graph
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            Exported(net).eval(),
            (torch.zeros(1, 1, HEIGHT_PX, WIDTH_PX),),
            buffer,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["maps"],
            dynamo=False,
        )
    return buffer.getvalue()


def blob_of(frame: np.ndarray) -> np.ndarray:
    """A camera frame as the network's input, float32 (1, 1, 240, 320)."""
    return ((to_grey(frame).astype(np.float32) / 255.0 - MEAN) / STD)[None, None]


def golden_frames() -> list[np.ndarray]:
    """A good part and one with defects, as the camera sees them."""
    scene = Scene(seed=_GOLDEN_SEED)
    good = make_parts(1, _GOLDEN_SEED, 0.0)[0]
    bad = max(make_parts(40, _GOLDEN_SEED, 1.0, severity=1.3), key=lambda part: len({d.kind for d in part.defects}))
    return [scene.render([(part, 80.0)], Light(), i) for i, part in enumerate((good, bad))]


def write_bundle(net: SurfaceNet, folder: Path) -> None:
    """Export, check against PyTorch and write the bundle. Raises ValueError if the two disagree."""
    onnx = to_onnx(net)
    session = ort.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    extra: dict[str, bytes] = {}
    golden = []
    for name, frame in zip(("good", "bad"), golden_frames(), strict=True):
        blob = blob_of(frame)
        (maps,) = session.run(None, {"image": blob})
        with torch.no_grad():
            wanted = Exported(net)(torch.from_numpy(blob)).numpy()
        worst = float(np.abs(maps - wanted).max())
        if worst > TOLERANCE:
            raise ValueError(f"ONNX Runtime and PyTorch disagree by {worst:.2g} on the {name} part")
        arrays = io.BytesIO()
        np.savez_compressed(arrays, maps=maps)
        extra[f"golden/{name}.png"] = cv2.imencode(".png", frame)[1].tobytes()
        extra[f"golden/{name}.npz"] = arrays.getvalue()
        golden.append(Golden(image=f"golden/{name}.png", outputs=f"golden/{name}.npz", tolerance=TOLERANCE))
    manifest = Manifest(
        model=About(
            name=NAME,
            version=VERSION,
            task="segment",
            labels=KINDS,
            licence="Apache-2.0",
            description="Defects on brushed metal plates, learnt from rendered parts only",
        ),
        input=InputSpec(
            width_px=WIDTH_PX,
            height_px=HEIGHT_PX,
            color="gray",
            mean=(MEAN,),
            std=(STD,),
            fit="letterbox",
            pad_value=30,
        ),
        output=SegmentHead(activation="none", background=0),
        thresholds=Thresholds(score=MIN_SCORE, min_area_mm2=MIN_AREA_MM2),
        golden=tuple(golden),
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        path.write_bytes(onnx)
        write(folder, manifest, path, extra)
