"""Conventions of real models on real photos, against loops over their raw outputs that were written apart."""

from __future__ import annotations

import math

import cv2
import numpy as np
import onnxruntime
import pytest

from edge.vision import heads
from edge.vision.conventions import DistanceHead, FastestDetHead, SsdHead, YoloV8Head, YoloXHead, YuNetHead
from edge.vision.preprocess import Preprocessor
from edge.vision.spec import InputSpec, Thresholds
from tests.vision.plain import centred, labels_of, sigmoid, softmax
from tests.vision.test_nms import overlap
from tests.vision.test_nms import plain as plain_nms

T = Thresholds(score=0.35, iou=0.5)
PHOTOS = ("000000001584", "000000000285", "000000004134", "000000001296", "000000007888")


def yolox(out, width, height):
    rows = iter(out["output"][0].tolist())
    for stride in (8, 16, 32):
        for y in range(height // stride):
            for x in range(width // stride):
                r = next(rows)
                box = centred(
                    (r[0] + x) * stride, (r[1] + y) * stride, math.exp(r[2]) * stride, math.exp(r[3]) * stride
                )
                yield box, r[4] * max(r[5:]), int(np.argmax(r[5:])), []


def nanodet(out, width, _height):
    for stride in (8, 16, 32):
        scores, distances = out[f"cls_pred_stride_{stride}"][0], out[f"dis_pred_stride_{stride}"][0]
        for i, (row, raw) in enumerate(zip(scores.tolist(), distances.tolist(), strict=True)):
            if max(row) < T.score:
                continue
            x, y = (i % (width // stride) + 0.5) * stride, (i // (width // stride) + 0.5) * stride
            left, top, right, bottom = (
                stride * sum(k * p for k, p in enumerate(softmax(raw[8 * s : 8 * s + 8]))) for s in range(4)
            )
            yield (x - left, y - top, x + right, y + bottom), max(row), int(np.argmax(row)), []


def fastestdet(out, width, height):
    maps = out["758"][0]
    for y in range(maps.shape[1]):
        for x in range(maps.shape[2]):
            t = maps[:, y, x].tolist()
            cx, cy = (math.tanh(t[1]) + x) / maps.shape[2] * width, (math.tanh(t[2]) + y) / maps.shape[1] * height
            score = t[0] ** 0.6 * max(t[5:]) ** 0.4
            yield centred(cx, cy, sigmoid(t[3]) * width, sigmoid(t[4]) * height), score, int(np.argmax(t[5:])), []


def ultraface(out, width, height):
    for box, score in zip(out["boxes"][0].tolist(), out["scores"][0].tolist(), strict=True):
        yield tuple(v * s for v, s in zip(box, (width, height) * 2, strict=True)), score[1], 0, []


def yunet(out, width, _height):
    for stride in (8, 16, 32):
        parts = [out[f"{name}_{stride}"][0].tolist() for name in ("cls", "obj", "bbox", "kps")]
        for i, ((c,), (o,), b, k) in enumerate(zip(*parts, strict=True)):
            x, y = i % (width // stride), i // (width // stride)
            box = centred((x + b[0]) * stride, (y + b[1]) * stride, math.exp(b[2]) * stride, math.exp(b[3]) * stride)
            points = [((x + k[j]) * stride, (y + k[j + 1]) * stride) for j in range(0, 10, 2)]
            yield box, math.sqrt(c * o), 0, points


def yolov8(out, _width, _height):
    for column in out["output0"][0].T.tolist():
        yield centred(*column[:4]), max(column[4:]), int(np.argmax(column[4:])), []


MODELS = {
    "yolox_nano": (
        InputSpec(width_px=416, height_px=416, color="bgr", scale=1.0, anchor="top_left"),
        YoloXHead(),
        80,
        yolox,
        "000000001584",
    ),
    "nanodet_m_320": (
        InputSpec(
            width_px=320,
            height_px=320,
            color="bgr",
            scale=1.0,
            mean=(103.53, 116.28, 123.675),
            std=(57.375, 57.12, 58.395),
            fit="stretch",
        ),
        DistanceHead(),
        80,
        nanodet,
        "000000000285",
    ),
    "fastestdet": (
        InputSpec(width_px=352, height_px=352, color="bgr", fit="stretch"),
        FastestDetHead(),
        80,
        fastestdet,
        "000000001584",
    ),
    "ultraface": (
        InputSpec(width_px=320, height_px=240, scale=1.0, mean=(127.0,), std=(128.0,), fit="stretch"),
        SsdHead(),
        1,
        ultraface,
        "000000004134",
    ),
    "yunet": (
        InputSpec(width_px=320, height_px=320, color="bgr", scale=1.0, anchor="top_left", pad_value=0),
        YuNetHead(),
        1,
        yunet,
        "000000004134",
    ),
    "yolo11n_int8": (InputSpec(width_px=320, height_px=320), YoloV8Head(), 80, yolov8, "000000001584"),
}
BUS, BEAR = "label5", "label21"
SEEN = {
    "yolox_nano": BUS,
    "nanodet_m_320": BEAR,
    "fastestdet": BUS,
    "ultraface": "label0",
    "yunet": "label0",
    "yolo11n_int8": BUS,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_real_model_gives_what_the_loop_gives(shared_data, name):
    spec, head, n_labels, loop, must = MODELS[name]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(shared_data / "models" / f"{name}.onnx", options)
    names = [o.name for o in session.get_outputs()]
    preprocessor, labels, seen = Preprocessor(spec), labels_of(n_labels), 0
    for photo in PHOTOS:
        image = cv2.imread(str(shared_data / "coco-photos" / f"{photo}.jpg"))
        workspace = preprocessor.workspace()
        geometry = preprocessor(image, workspace)
        outputs = dict(zip(names, session.run(None, {session.get_inputs()[0].name: workspace.blob}), strict=True))
        context = heads.Context(geometry, labels, T, heads.limits_of(labels, T))
        found = heads.decode(head, outputs, context)

        rows = [row for row in loop(outputs, spec.width_px, spec.height_px) if row[1] >= T.score]
        kept = plain_nms([list(r[0]) for r in rows], [r[1] for r in rows], [r[2] for r in rows], T.iou)
        assert found.names == [labels[rows[i][2]] for i in kept]
        np.testing.assert_allclose(found.scores, [rows[i][1] for i in kept], atol=0.01)
        for number, i in enumerate(kept):
            x0, y0, x1, y1 = rows[i][0]
            box = [*_to_frame(x0, y0, geometry), *_to_frame(x1, y1, geometry)]
            assert overlap(found.boxes[number].tolist(), box) > 0.99
            for point, (x, y) in zip(rows[i][3], found.keypoints[number, :, :2] if rows[i][3] else [], strict=True):
                assert (x, y) == pytest.approx(_to_frame(*point, geometry), abs=0.1)
        seen += len(kept)
        assert photo != must or SEEN[name] in found.names
    assert seen


def _to_frame(x, y, g):
    x, y = (x - g.offset_x) / g.scale_x, (y - g.offset_y) / g.scale_y
    return min(max(x, 0), g.frame_width_px), min(max(y, 0), g.frame_height_px)
