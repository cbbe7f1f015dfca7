"""Public exports by their signatures: names, shapes and value ranges as their exporters give them, and what is proposed.

The ranges are what a trial on noise shows: logits go below zero, scores stay in 0..1, boxes reach the picture's size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from edge.models.graph import Graph, ModelFile, Node, Tensor, Value
from edge.models.guard import Signature
from edge.models.guard import Tensor as Seen
from edge.models.inspect.facts import gather
from edge.models.inspect.proposal import propose
from edge.vision.conventions import (
    AnomalyHead,
    ClassifyHead,
    CtcHead,
    DetrHead,
    DistanceHead,
    End2EndHead,
    FastestDetHead,
    HeatmapsHead,
    IndexedHead,
    LabelMapHead,
    ListedHead,
    RawHead,
    ReconstructionHead,
    RetinaFaceHead,
    ScrfdHead,
    SegmentHead,
    SsdHead,
    YoloFastestHead,
    YoloMapsHead,
    YoloObbHead,
    YoloPoseHead,
    YoloSegHead,
    YoloV5Head,
    YoloV8Head,
    YoloXHead,
    YuNetHead,
)

LOGITS, SCORES, PIXELS, SMALL = (-8.0, 8.0), (0.0, 0.9), (0.0, 640.0), (-3.0, 3.0)
IMAGENET = (0.485, 0.456, 0.406)
NAMES_80 = str({i: f"class {i}" for i in range(80)})


@dataclass
class Export:
    """What an exporter gives: one input, outputs as (name, shape, (low, high)[, type])."""

    name: str
    outputs: list[Any]
    head: Any
    task: str
    n: int | None = None
    shape: tuple[int | None, ...] = (1, 3, 640, 640)
    kind: str = "tensor(float)"
    producer: str = "pytorch"
    ops: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    fed: dict[str, Any] = field(default_factory=dict)
    second: tuple[str, tuple[int, ...]] | None = None
    before: tuple[tuple[str, list[float]], ...] = ()
    """Arithmetic with constants before the first convolution."""
    ends: dict[str, str] = field(default_factory=dict)
    """Output -> the operation it comes from."""


def ultralytics(task: str, n: int, **more: str) -> dict[str, str]:
    names = str({i: f"thing {i}" for i in range(n)})
    return {"task": task, "names": names, "version": "8.3.0", "license": "AGPL-3.0", "imgsz": "[640, 640]"} | more


FLOAT, INT = "tensor(float)", "tensor(int64)"
RGB01 = {"color": "rgb", "scale": pytest.approx(1 / 255), "mean": (0.0,), "fit": "letterbox"}
TORCH = {"color": "rgb", "mean": IMAGENET}

EXPORTS = [
    Export("yolov5s", [("output0", (1, 25200, 85), PIXELS)], YoloV5Head(), "detect", 80, fed=RGB01),
    Export("yolov5-raw-too", [("output", (1, 25200, 85), PIXELS), *((str(i), (1, 3, s, s, 85), LOGITS)
           for i, s in enumerate((80, 40, 20)))], YoloV5Head(), "detect", 80),
    Export("yolov7-grid", [("output", (1, 25200, 8), PIXELS)], YoloV5Head(), "detect", 3),
    Export("yolov7-end2end", [("output", (12, 7), PIXELS)], "end2end", "detect", 80, ops=("NonMaxSuppression",)),
    Export("yolov5-maps", [(str(i), (1, 3, s, s, 85), LOGITS) for i, s in enumerate((80, 40, 20))],
           YoloMapsHead(), "detect", 80),
    Export("yolov3-darknet", [(str(i), (1, 255, s, s), LOGITS) for i, s in enumerate((13, 26, 52))], "yolo_maps", "detect",
           80, shape=(1, 3, 416, 416), producer="tf"),
    Export("tiny-yolov2-zoo", [("grid", (1, 125, 13, 13), LOGITS)], "yolo_maps", "detect", 20, shape=(1, 3, 416, 416),
           producer="OnnxMLTools"),
    Export("yolov6", [("outputs", (1, 8400, 85), PIXELS)], YoloXHead(decoded=True), "detect", 80, fed={"color": "rgb"}),
    Export("yolox-s", [("output", (1, 8400, 85), SMALL)], YoloXHead(), "detect", 80, ops=("Slice",),
           fed={"color": "bgr", "scale": 1.0, "anchor": "top_left"}),
    Export("yolox-one-class", [("output", (1, 8400, 6), SMALL)], YoloXHead(), "detect", 1, ops=("Slice",)),
    Export("yolov8n", [("output0", (1, 84, 8400), PIXELS)], YoloV8Head(), "detect", 80, fed=RGB01),
    Export("yolov9c-named", [("output0", (1, 84, 8400), PIXELS)], YoloV8Head(), "detect", 80,
           metadata=ultralytics("detect", 80), fed=RGB01),
    Export("yolov10", [("output0", (1, 300, 6), PIXELS)], End2EndHead(), "detect", 80, metadata=ultralytics("detect", 80)),
    Export("yolo11-seg", [("output0", (1, 116, 8400), PIXELS), ("output1", (1, 32, 160, 160), LOGITS)], YoloSegHead(),
           "segment", 80, metadata=ultralytics("segment", 80)),
    Export("yolo11-seg-bare", [("output0", (1, 38, 8400), PIXELS), ("output1", (1, 32, 160, 160), LOGITS)], YoloSegHead(),
           "segment", 2),
    Export("yolo11-pose", [("output0", (1, 56, 8400), PIXELS)], YoloPoseHead(), "keypoints", 1,
           metadata=ultralytics("pose", 1, kpt_shape="[17, 3]")),
    Export("yolo11-obb", [("output0", (1, 20, 8400), PIXELS)], YoloObbHead(), "detect", 15,
           metadata=ultralytics("obb", 15)),
    Export("yolo11-cls", [("output0", (1, 1000), SCORES)], ClassifyHead(activation="none"), "classify", 1000,
           shape=(1, 3, 224, 224), metadata=ultralytics("classify", 1000), fed={"fit": "crop", "mean": (0.0,)}),
    Export("rtdetr-l", [("output0", (1, 300, 84), (0.0, 1.0))], DetrHead(activation="none"), "detect", 80,
           metadata=ultralytics("detect", 80), fed={"fit": "stretch"}),
    Export("yolo-nas", [("boxes", (1, 8400, 4), PIXELS), ("scores", (1, 8400, 80), SCORES)], "ssd", "detect", 80),
    Export("nanodet-plus", [("output", (1, 3598, 112), LOGITS)], "distances", "detect", 80, shape=(1, 3, 416, 416),
           fed={"color": "bgr", "fit": "stretch"}),
    Export("picodet", [(f"transpose_{i}.tmp_0", (1, n, 80), SCORES) for i, n in enumerate((2704, 676, 169, 49))]
           + [(f"transpose_{i + 4}.tmp_0", (1, n, 32), LOGITS) for i, n in enumerate((2704, 676, 169, 49))],
           "distances", "detect", 80, shape=(1, 3, 416, 416), producer="PaddlePaddle",
           fed={"color": "rgb", "fit": "stretch", "mean": IMAGENET}),
    Export("rtmdet-maps", [(f"cls_{i}", (1, 80, s, s), LOGITS) for i, s in enumerate((80, 40, 20))]
           + [(f"reg_{i}", (1, 4, s, s), PIXELS) for i, s in enumerate((80, 40, 20))], "distances", "detect", 80,
           fed={"color": "bgr", "anchor": "top_left"}),
    Export("rtmdet-mmdeploy", [("dets", (1, 100, 5), PIXELS), ("labels", (1, 100), (0.0, 79.0), INT)], "listed", "detect", 80),
    Export("fasterrcnn", [("boxes", (100, 4), PIXELS), ("labels", (100,), (1.0, 90.0), INT), ("scores", (100,), SCORES)],
           ListedHead(first_label=1), "detect", 90, shape=(1, 3, 800, 800)),
    Export("ssd-mobilenet-tf", [("num_detections", (1,), (0.0, 100.0)), ("detection_boxes", (1, 100, 4), (0.0, 1.0)),
           ("detection_scores", (1, 100), SCORES), ("detection_classes", (1, 100), (0.0, 90.0))], "listed", "detect", 90,
           shape=(1, 300, 300, 3), kind="tensor(uint8)", producer="tf2onnx", fed={"layout": "nhwc", "scale": 1.0}),
    Export("ssd-zoo", [("bboxes", (1, 200, 4), (0.0, 1.0)), ("labels", (1, 200), (0.0, 80.0), INT),
           ("scores", (1, 200), SCORES)], "listed", "detect", None, shape=(1, 3, 1200, 1200), fed={"mean": IMAGENET}),
    Export("efficientdet-automl", [("detections:0", (1, 100, 7), (0.0, 512.0))], "end2end", "detect", 90,
           shape=(1, 512, 512, 3), kind="tensor(uint8)", producer="tf2onnx"),
    Export("detr", [("logits", (1, 100, 92), LOGITS), ("pred_boxes", (1, 100, 4), (0.0, 1.0))], DetrHead(), "detect", 91,
           shape=(1, 3, 800, 800), fed=TORCH | {"fit": "stretch"}),
    Export("rtdetr-hf", [("logits", (1, 300, 80), LOGITS), ("pred_boxes", (1, 300, 4), (0.0, 1.0))],
           DetrHead(activation="sigmoid"), "detect", 80, fed={"fit": "stretch", "mean": (0.0,)}),
    Export("rtdetr-own", [("labels", (1, 300), (0.0, 79.0), INT), ("boxes", (1, 300, 4), PIXELS), ("scores", (1, 300), SCORES)],
           ListedHead(), "detect", 80, second=("orig_target_sizes", (1, 2)), fed={"extra": {"orig_target_sizes": "input_size_wh"}}),
    Export("yolov3-zoo", [("yolonms_layer_1/ExpandDims_1:0", (1, 10647, 4), PIXELS),
           ("yolonms_layer_1/ExpandDims_3:0", (1, 80, 10647), SCORES),
           ("yolonms_layer_1/concat_2:0", (1, 7, 3), (0.0, 80.0), "tensor(int32)")], IndexedHead(), "detect", 80,
           shape=(1, 3, 416, 416), second=("image_shape", (1, 2)), producer="keras2onnx"),
    Export("scrfd", [(str(i), (n, k), SMALL) for k in (1, 4, 10) for i, n in ((f"{k}-8", 12800), (f"{k}-16", 3200),
           (f"{k}-32", 800))], ScrfdHead(), "keypoints", 1, fed={"color": "rgb", "mean": (127.5,)}),
    Export("retinaface", [("boxes", (1, 16800, 4), SMALL), ("confidence", (1, 16800, 2), SCORES), ("landmarks", (1, 16800, 10), SMALL)],
           RetinaFaceHead(), "keypoints", 1, fed={"color": "bgr", "mean": (104.0, 117.0, 123.0)}),
    Export("yunet-2023", [(f"{w}_{s}", (1, (640 // s) ** 2, k), SCORES) for w, k in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
           for s in (8, 16, 32)], YuNetHead(), "keypoints", 1, fed={"color": "bgr", "scale": 1.0}),
    Export("yolo-fastestv2", [(f"o{i}", (1, c, s, s), SCORES) for i, (c, s) in enumerate(((12, 22), (3, 22), (80, 22), (12, 11),
           (3, 11), (80, 11)))], YoloFastestHead(), "detect", 80, shape=(1, 3, 352, 352)),
    Export("fastestdet", [("758", (1, 85, 22, 22), SMALL)], FastestDetHead(), "detect", 80, shape=(1, 3, 352, 352),
           ops=("Softmax", "Sigmoid"), fed={"color": "bgr", "fit": "stretch"}),
    Export("resnet50", [("output", (1, 1000), LOGITS)], ClassifyHead(), "classify", 1000, shape=(1, 3, 224, 224),
           fed=TORCH | {"fit": "crop"}),
    Export("vit-base", [("logits", (1, 1000), LOGITS)], ClassifyHead(), "classify", 1000, shape=(1, 3, 224, 224), fed=TORCH),
    Export("squeezenet-zoo", [("softmaxout_1", (1, 1000, 1, 1), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 1000,
           shape=(1, 3, 224, 224)),
    Export("mobilenet-keras", [("predictions", (1, 1000), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 1000,
           shape=(1, 224, 224, 3), producer="tf2onnx", fed={"layout": "nhwc", "mean": (127.5,)}),
    Export("efficientnet-keras", [("predictions", (1, 1000), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 1000,
           shape=(1, 224, 224, 3), producer="tf2onnx", before=(("Mul", [1 / 255]), ("Sub", list(IMAGENET))),
           fed={"layout": "nhwc", "scale": 1.0, "mean": (0.0,)}),
    Export("resnet-caffe-inside", [("prob", (1, 1000), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 1000,
           shape=(1, 3, 224, 224), before=(("Sub", [103.9, 116.8, 123.7]),), fed={"color": "bgr", "scale": 1.0, "mean": (0.0,)}),
    Export("pplcnet", [("softmax_1.tmp_0", (1, 1000), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 1000,
           shape=(1, 3, 224, 224), producer="PaddlePaddle", fed=TORCH),
    Export("unet-binary", [("output", (1, 1, 256, 256), LOGITS)], SegmentHead(), "segment", 1, shape=(1, 3, 256, 256)),
    Export("unet-classes", [("output", (1, 6, 256, 256), LOGITS)], SegmentHead(activation="softmax", background=0, exclusive=True),
           "segment", 5, shape=(1, 3, 256, 256)),
    Export("fcn-torchvision", [("out", (1, 21, 520, 520), LOGITS), ("aux", (1, 21, 520, 520), LOGITS)], "segment", "segment", 20,
           shape=(1, 3, 520, 520), fed=TORCH),
    Export("bisenet", [("preds", (1, 19, 512, 1024), LOGITS)], SegmentHead(activation="softmax", exclusive=True), "segment", 19,
           shape=(1, 3, 512, 1024)),
    Export("segformer", [("logits", (1, 150, 128, 128), LOGITS)], SegmentHead(activation="softmax", exclusive=True), "segment", 150,
           shape=(1, 3, 512, 512), fed=TORCH),
    Export("ppliteseg-argmax", [("argmax_0.tmp_0", (1, 512, 512), (0.0, 18.0), INT)], LabelMapHead(background=0), "segment", None,
           shape=(1, 3, 512, 512), producer="PaddlePaddle", fed={"mean": (0.5,)}),
    Export("modnet", [("output", (1, 1, 512, 512), (0.0, 1.0))], SegmentHead(activation="none"), "segment", 1,
           shape=(1, 3, 512, 512)),
    Export("u2net", [(str(i), (1, 1, 320, 320), (0.0, 1.0)) for i in range(7)], "segment", "segment", 1, shape=(1, 3, 320, 320)),
    Export("midas", [("1797", (1, 256, 256), (0.0, 900.0))], RawHead(), "raw", 0, shape=(1, 3, 256, 256), fed=TORCH),
    Export("hrnet-heatmaps", [("output", (1, 17, 64, 48), SMALL)], HeatmapsHead(), "keypoints", 1, shape=(1, 3, 256, 192)),
    Export("patchcore", [("pred_score", (1, 1), (0.0, 1.0)), ("pred_label", (1, 1), (0.0, 1.0), "tensor(bool)"),
           ("anomaly_map", (1, 1, 256, 256), (0.0, 1.0)), ("pred_mask", (1, 1, 256, 256), (0.0, 1.0), "tensor(bool)")],
           AnomalyHead(normalised=True), "anomaly", 0, shape=(1, 3, 256, 256), ops=("Clip",)),
    Export("padim-old", [("output", (1, 1, 256, 256), (0.0, 40.0)), ("score", (1,), (0.0, 40.0))], AnomalyHead(), "anomaly", 0,
           shape=(1, 3, 256, 256)),
    Export("autoencoder", [("output", (1, 3, 128, 128), SCORES)], ReconstructionHead(), "anomaly", 0, shape=(1, 3, 128, 128)),
    Export("crnn", [("output", (26, 1, 37), LOGITS)], "ctc", "ocr", None, shape=(1, 1, 32, 100), fed={"color": "gray"}),
    Export("super-resolution", [("output", (1, 1, 672, 672), (0.0, 1.0))], None, None, shape=(1, 1, 224, 224)),
]  # fmt: skip


def graph_of(export: Export) -> ModelFile:
    """Only what the rules look at: who made it, arithmetic at the input, operations that are there."""
    nodes, at = [], "images"
    graph = Graph(name="g", inputs=[Value("images")], outputs=[Value(o[0]) for o in export.outputs])
    for number, (op, values) in enumerate(export.before):
        array = np.array(values, np.float32)
        shape = (1,) if array.size == 1 else (1, 1, 1, 3) if export.shape[-1] == 3 else (1, 3, 1, 1)
        graph.constants[f"c{number}"] = Tensor(f"c{number}", shape, 1, memoryview(array.tobytes()))
        nodes.append(Node(op, inputs=[at, f"c{number}"], outputs=[f"n{number}"]))
        at = f"n{number}"
    nodes.append(Node("Conv", inputs=[at, "w"], outputs=["features"]))
    nodes += [Node(op, inputs=["features"], outputs=[f"{op}-{i}"]) for i, op in enumerate(export.ops)]
    nodes += [Node(op, inputs=["features"], outputs=[name]) for name, op in export.ends.items()]
    graph.nodes = nodes
    return ModelFile(ir_version=9, producer=export.producer, opsets={"": 17}, graph=graph)


def signature_of(export: Export) -> Signature:
    outputs = [
        Seen(name, tuple(shape), more[0] if more else FLOAT, *span) for name, shape, span, *more in export.outputs
    ]
    inputs = [Seen("images", export.shape, export.kind)]
    if export.second is not None:
        inputs.append(Seen(export.second[0], export.second[1], INT))
    return Signature(
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        metadata=export.metadata,
        finite=True,
        probe_shape=tuple(d or 320 for d in export.shape),
    )


@pytest.mark.parametrize("export", EXPORTS, ids=lambda one: one.name)
def test_exports_of_the_field(export):
    proposal = propose(gather(signature_of(export), graph_of(export), export.name))
    manifest = proposal.manifest
    if export.task is None:  # no convention of ours reads it: whatever is proposed, it is not said to be sure
        assert proposal.overall <= 0.7 and proposal.assumed
        return
    assert manifest.model.task == export.task
    if isinstance(export.head, str):
        assert manifest.output.__struct_config__.tag == export.head
    else:
        assert manifest.output == export.head
    if export.n is not None:
        assert len(manifest.model.labels) == export.n
    spec = manifest.input
    size = export.shape[1:3] if spec.layout == "nhwc" else export.shape[2:]
    assert (spec.height_px, spec.width_px) == size
    assert {name: getattr(spec, name) for name in export.fed} == export.fed
    assert all(proposal.evidence[part] for part in ("task", "head", "preprocess", "labels"))


def test_the_list_is_long_and_its_names_differ():
    assert len(EXPORTS) >= 50 and len({one.name for one in EXPORTS}) == len(EXPORTS)
    assert CtcHead().layout == "ntc" and SsdHead().background == 0 and DistanceHead().bins == 8
