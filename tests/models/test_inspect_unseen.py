"""Exports that a list of public files held and ours did not, by their signatures; and what only looks like something."""

from __future__ import annotations

import pytest

from edge.models.inspect.facts import gather
from edge.models.inspect.proposal import propose
from edge.models.inspect.rules.faces import SQUARE_STRIDES, SQUARES
from edge.vision.conventions import (
    AnomalyHead,
    ClassifyHead,
    CtcHead,
    HeatmapsHead,
    LandmarksHead,
    ListedMasksHead,
    ListedPointsHead,
    MediaPipeHead,
    RawHead,
    RetinaFaceHead,
    SimccHead,
    SsdHead,
    TextBoxesHead,
)
from tests.models.test_inspect_exports import (
    IMAGENET,
    INT,
    LOGITS,
    PIXELS,
    SCORES,
    SMALL,
    Export,
    graph_of,
    signature_of,
)

LISTS = [("boxes", (20, 4), PIXELS), ("labels", (20,), (1.0, 4.0), INT), ("scores", (20,), SCORES)]
YUNET = RetinaFaceHead(strides=SQUARE_STRIDES, priors=SQUARES, rounded="down")

EXPORTS = [
    Export("yunet-2022", [("loc", (1076, 14), LOGITS), ("conf", (1076, 2), (0.0, 1.0)), ("iou", (1076, 1), (0.0, 2.0))],
           YUNET, "keypoints", 1, shape=(1, 3, 120, 160), fed={"color": "bgr", "scale": 1.0}),
    Export("ultraface-raw", [("scores", (1, 4420, 2), (0.0, 1.0)), ("boxes", (1, 4420, 4), (-25.0, 11.0))],
           SsdHead(priors=SQUARES), "detect", 1, shape=(1, 3, 240, 320), fed={"mean": (127.0,)}),
    Export("ssd-raw-unknown", [("scores", (1, 3000, 21), LOGITS), ("boxes", (1, 3000, 4), (-9.0, 11.0))],
           RawHead(), "raw", 0, shape=(1, 3, 300, 300)),
    Export("blazeface", [("regressors", (1, 896, 16), (-90.0, 120.0)), ("classificators", (1, 896, 1), LOGITS)],
           MediaPipeHead(), "keypoints", 1, shape=(1, 128, 128, 3), producer="tf2onnx", fed={"mean": (0.5,)}),
    Export("blazeface-split", [("0", (1, 512, 1), LOGITS), ("1", (1, 384, 1), LOGITS), ("2", (1, 512, 16), PIXELS),
           ("3", (1, 384, 16), PIXELS)], MediaPipeHead(), "keypoints", 1, shape=(1, 3, 128, 128)),
    Export("blazeface-back", [("r", (1, 896, 16), PIXELS), ("c", (1, 896, 1), LOGITS)], MediaPipeHead(strides=(16, 32)),
           "keypoints", 1, shape=(1, 3, 256, 256)),
    Export("palm", [("Identity", (1, 2016, 18), PIXELS), ("Identity_1", (1, 2016, 1), LOGITS)], MediaPipeHead(points=7),
           "keypoints", 1, shape=(1, 192, 192, 3), producer="tf2onnx", fed={"mean": (0.0,)}),
    Export("mp-person", [("Identity", (1, 2254, 12), PIXELS), ("Identity_1", (1, 2254, 1), LOGITS)],
           MediaPipeHead(strides=(8, 16, 32), per_cell=(2, 2, 6), points=4), "keypoints", 1, shape=(1, 224, 224, 3)),
    Export("rtmpose", [("simcc_x", (1, 17, 384), SMALL), ("simcc_y", (1, 17, 512), SMALL)], SimccHead(), "keypoints", 1,
           shape=(1, 3, 256, 192), fed={"color": "rgb"}),
    Export("vitpose", [("heatmaps", (1, 21, 64, 64), SMALL)], HeatmapsHead(points=21), "keypoints", 1, shape=(1, 3, 256, 256)),
    Export("movenet", [("output_0", (1, 1, 17, 3), (0.0, 1.0))], LandmarksHead(points=17, values=3, order="yx"), "keypoints", 1,
           shape=(1, 192, 192, 3), kind="tensor(int32)", producer="tf2onnx"),
    Export("movenet-float", [("output_0", (1, 1, 17, 3), (0.0, 1.0))], LandmarksHead(points=17, values=3, order="yx"),
           "keypoints", 1, shape=(1, 192, 192, 3), producer="tf2onnx", fed={"scale": 1.0}),
    Export("pfld-sim", [("output", (1, 136), SMALL)], LandmarksHead(third="depth"), "keypoints", 1, shape=(1, 3, 112, 112)),
    Export("2d106det", [("fc1", (1, 212), SMALL)], LandmarksHead(points=106, unit="centred", third="depth"), "keypoints", 1,
           shape=(1, 3, 192, 192)),
    Export("hand_landmark", [("xyz", (1, 63), (-20.0, 240.0)), ("presence", (1, 1), (0.0, 1.0)), ("left", (1, 1), (0.0, 1.0)),
           ("world", (1, 63), (-0.2, 0.2))], LandmarksHead(output="xyz", points=21, values=3, unit="input", third="depth",
           score_output="presence"), "keypoints", 1, shape=(1, 224, 224, 3)),
    Export("cars", [("logits", (1, 196), LOGITS)], "classify", "classify", 196, shape=(1, 3, 224, 224)),
    Export("arcface", [("683", (1, 512), SMALL)], RawHead(), "raw", 0, shape=(1, 3, 112, 112)),
    Export("many-classes", [("logits", (1, 512), SMALL)], "classify", "classify", 512, shape=(1, 3, 224, 224)),
    Export("maskrcnn", [*LISTS, ("masks", (20, 1, 480, 640), (0.0, 0.9))], ListedMasksHead(masks_output="masks", first_label=1,
           whole=True), "segment", 90, shape=(1, 3, 480, 640)),
    Export("maskrcnn-28", [*LISTS, ("masks", (20, 1, 28, 28), (0.0, 0.9))], ListedMasksHead(masks_output="masks", first_label=1),
           "segment", 90, shape=(1, 3, 480, 640)),
    Export("kprcnn", [*LISTS, ("keypoints", (20, 17, 3), PIXELS), ("keypoints_scores", (20, 17), LOGITS)],
           ListedPointsHead(points_output="keypoints", first_label=1), "keypoints", 90, shape=(1, 3, 480, 640)),
    Export("enhancer", [("out", (1, 256, 384, 10), (-0.1, 255.0))], RawHead(), "raw", 0, shape=(1, 3, 256, 384)),
    Export("mtcnn-pnet", [("reg", (1, 155, 155, 4), LOGITS), ("softmax", (1, 155, 155, 2), (0.0, 1.0))], RawHead(), "raw", 0,
           shape=(1, 320, 320, 3)),
    Export("captcha", [("logits", (20, 1, 37), LOGITS)], "ctc", "ocr", 1, shape=(1, 3, 60, 160)),
    Export("pfld-106", [("features", (1, 64, 28, 28), (0.0, 900.0)), ("output", (1, 212), SMALL)], LandmarksHead(output="output",
           points=106, third="depth"), "keypoints", 1, shape=(1, 3, 112, 112)),
    Export("defect-or-not", [("dense_1", (1, 1), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 2,
           shape=(1, 224, 224, 3), producer="tf2onnx", ends={"dense_1": "Sigmoid"}),
    Export("face_mesh", [("conv2d_21", (1, 1, 1, 1404), (-46.0, 186.0)), ("conv2d_31", (1, 1, 1, 1), LOGITS)],
           LandmarksHead(output="conv2d_21", points=468, values=3, unit="input", third="depth", score_output="conv2d_31",
           activation="sigmoid"), "keypoints", 1, shape=(1, 3, 192, 192), producer="tf2onnx"),
    Export("iris", [("contours", (1, 213), (-5.0, 60.0)), ("iris", (1, 15), (-5.0, 60.0))], LandmarksHead(output="contours",
           points=71, values=3, unit="input", third="depth"), "keypoints", 1, shape=(1, 64, 64, 3)),
    Export("ssrnet", [("age", (1,), (0.0, 39.0))], RawHead(), "raw", 0, shape=(1, 3, 64, 64)),
    Export("padim-score", [("score", (1,), (0.0, 39.0))], AnomalyHead(), "anomaly", 0, shape=(1, 3, 256, 256)),
    Export("fsanet-var", [("output", (1, 3), LOGITS)], RawHead(), "raw", 0, shape=(1, 3, 64, 64)),
    Export("three-classes", [("output", (1, 3), LOGITS)], ClassifyHead(), "classify", 3, shape=(1, 3, 64, 64)),
    Export("angle_net", [("out", (1, 2), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 2, shape=(1, 3, 32, 192),
           fed={"mean": (0.5,)}),
    Export("keras-captcha", [("output", (1, 40, 31), (0.0, 1.0))], CtcHead(blank="last", characters=""), "ocr", 1, shape=(1, 60, 160, 3),
           producer="tf2onnx"),
    Export("keras-digits", [("Identity:0", (1, 10), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 10,
           shape=(1, 28, 28, 1), producer="tf2onnx", fed={"mean": (0.0,), "scale": pytest.approx(1 / 255)}),
    Export("torch-digits", [("logits", (1, 10), LOGITS)], ClassifyHead(), "classify", 10, shape=(1, 1, 28, 28),
           fed={"mean": (0.1307,)}),
    Export("dbnet-of-torch", [("out1", (1, 1, 320, 320), (0.0, 1.0))], TextBoxesHead(dilate=True), "detect", 1,
           shape=(1, 3, 320, 320), fed={"color": "rgb", "mean": IMAGENET}),
    Export("letnet", [("27", (1, 1, 320, 240), (0.0, 1.0)), ("33", (1, 3, 320, 240), (0.0, 1.0))], "segment", "segment", 1,
           shape=(1, 3, 320, 240)),
    Export("unet-nhwc", [("out", (1, 256, 256, 4), (0.0, 1.0))], "segment", "segment", 3, shape=(1, 256, 256, 3),
           producer="tf2onnx", fed={"mean": (0.0,)}),
    Export("orientation", [("p", (1, 4), (0.0, 0.9))], "classify", "classify", 4, shape=(1, 3, 224, 224),
           metadata={"character": "0\n90\n180\n270"}),
]  # fmt: skip


@pytest.mark.parametrize("export", EXPORTS, ids=lambda one: one.name)
def test_exports_of_the_field(export):
    proposal = propose(gather(signature_of(export), graph_of(export), export.name))
    manifest = proposal.manifest
    assert manifest.model.task == export.task
    if isinstance(export.head, str):
        assert manifest.output.__struct_config__.tag == export.head
    else:
        assert manifest.output == export.head
    assert len(manifest.model.labels) == export.n
    spec = manifest.input
    size = export.shape[1:3] if spec.layout == "nhwc" else export.shape[2:]
    assert (spec.height_px, spec.width_px) == size
    assert {name: getattr(spec, name) for name in export.fed} == export.fed
    if export.task == "raw":  # nobody is told that something was recognised
        assert proposal.overall <= 0.4 and proposal.assumed
