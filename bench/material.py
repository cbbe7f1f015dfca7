"""What the measurements run on: a detector of random weights, a video, settings for a daemon; all made here, seeded.

The model has the shape of a small YOLO export: 320 px, ``[1, 84, 2100]``, Ultralytics' metadata, and is as wide as it
must be to take some ``RUN_MS`` on this machine: the limits of the pipeline are ratios to a model of that size. Its
weights are random, so it finds nothing real, but its score threshold is set on the video's own frames, so that a
frame has a dozen detections: post-processing does what it does in earnest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

SIDE_PX = 320
LABELS = 80
STRIDES = (8, 16, 32)
CANDIDATES = 16
"""Cells above the threshold in the median frame; suppression leaves about a dozen."""
SCORE = 0.25
FRAMES = 60
WIDTH_PX, HEIGHT_PX = 1280, 720
RUN_MS = 25.0
WIDTHS = (16, 20, 24, 28, 32, 36, 40, 48, 56, 64)
"""Channels of the first layer; the others follow from it."""


@dataclass(frozen=True)
class Material:
    """Where the model and the video are, and what one run of the model costs to begin with."""

    folder: Path
    model: Path
    video: Path
    side_px: int


def make(folder: Path, model: Path | None = None, video: Path | None = None, side_px: int = SIDE_PX) -> Material:
    """The user's own model or video where given, else ours, written into ``folder``."""
    if video is None:
        video = folder / "video.avi"
        write_video(video)
    if model is None:
        model = folder / f"model-{side_px}.onnx"
        write_model(model, video, side_px)
    return Material(folder, model.resolve(), video.resolve(), side_px)


def session(model: Path, *, defaults: bool = False) -> Any:
    """A session as anyone would make it for a fair comparison: one thread, no spinning."""
    options = onnxruntime.SessionOptions()
    if not defaults:
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def input_of(model: Any) -> tuple[str, tuple[int, ...]]:
    """Name and shape of the one input; free dimensions become 1 picture of ``SIDE_PX``."""
    one = model.get_inputs()[0]
    free = (1, 3, SIDE_PX, SIDE_PX)
    return one.name, tuple(d if isinstance(d, int) else f for d, f in zip(one.shape, free, strict=True))


def write_video(path: Path, seed: int = 7) -> None:
    """Brushed metal that moves, with dark discs on it, as MJPG 720p: about what a belt camera sends."""
    rng = np.random.default_rng(seed)
    grain = cv2.blur(rng.normal(0, 60, (HEIGHT_PX, 2 * WIDTH_PX)).astype(np.float32), (25, 1))
    belt = np.clip(128 + grain + rng.normal(0, 3, grain.shape), 0, 255).astype(np.uint8)
    picture = cv2.merge([belt, cv2.add(belt, 6), cv2.add(belt, 12)])
    for _ in range(24):
        centre = (int(rng.integers(0, 2 * WIDTH_PX)), int(rng.integers(0, HEIGHT_PX)))
        cv2.circle(picture, centre, int(rng.integers(15, 90)), rng.integers(0, 255, 3).tolist(), -1, cv2.LINE_AA)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (WIDTH_PX, HEIGHT_PX))
    for n in range(FRAMES):
        left = n * WIDTH_PX // FRAMES
        writer.write(np.ascontiguousarray(picture[:, left : left + WIDTH_PX]))
    writer.release()


def write_model(path: Path, video: Path, side_px: int = SIDE_PX, seed: int = 3) -> None:
    """Twice: first with open scores, to see what they are on this video, then with the threshold that fits."""
    net = _wide_enough(path, seed, side_px)
    net.save(path, gain=1.0, shift=0.0)
    model = session(path)
    name, shape = input_of(model)
    tops = []
    for frame in frames(video)[::12]:
        blob = letterbox(frame, shape[2])
        scores = model.run(None, {name: blob})[0][0, 4:].max(axis=0)
        logits = np.log(scores / (1 - scores))
        tops.append(np.sort(logits)[-CANDIDATES])
    # sigmoid(shift + x) is SCORE where x is the last candidate of the median frame
    net.save(path, gain=1.0, shift=float(np.log(SCORE / (1 - SCORE)) - np.median(tops)))


def _wide_enough(path: Path, seed: int, side_px: int) -> _Net:
    """The network whose run comes nearest to ``RUN_MS`` at ``SIDE_PX``; larger pictures have the same network."""
    tries = []
    for width in WIDTHS:
        net = _Net(seed, SIDE_PX, width)
        net.save(path, gain=1.0, shift=0.0)
        took_ms = run_ms(path)
        tries.append((abs(took_ms - RUN_MS), width))
        if took_ms > RUN_MS:
            break
    width = min(tries)[1]
    return _Net(seed, side_px, width)


def run_ms(path: Path, runs: int = 12) -> float:
    """Wall time of one run on one thread, undisturbed: the shortest of several."""
    model = session(path)
    name, shape = input_of(model)
    blob, took = np.zeros(shape, np.float32), []
    for _ in range(runs):
        began = time.perf_counter()
        model.run(None, {name: blob})
        took.append(1e3 * (time.perf_counter() - began))
    return min(took)


def letterbox(frame: NDArray[np.uint8], side_px: int) -> NDArray[np.float32]:
    """The tutorial's way in, numpy and all: float32 ``(1, 3, side_px, side_px)``, RGB, 0..1."""
    height, width = frame.shape[:2]
    scale = side_px / max(height, width)
    small = cv2.resize(frame, (round(width * scale), round(height * scale)))
    padded = np.full((side_px, side_px, 3), 114, np.uint8)
    top, left = (side_px - small.shape[0]) // 2, (side_px - small.shape[1]) // 2
    padded[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.ascontiguousarray(padded[:, :, ::-1].transpose(2, 0, 1)[None], np.float32) / 255


def frames(video: Path) -> list[NDArray[np.uint8]]:
    """All frames of a video, decoded."""
    capture = cv2.VideoCapture(str(video))
    found = []
    while (shot := capture.read())[0]:
        found.append(shot[1])
    capture.release()
    return found


def settings(
    material: Material,
    folder: Path,
    *,
    rate_hz: float = 0.0,
    workers: int = 1,
    port: int | None = None,
    policy: str = "threshold",
    agent: str = "bench",
) -> Path:
    """An ``agent.toml`` in ``folder`` that inspects every frame of the video, over and over."""
    folder.mkdir(parents=True, exist_ok=True)
    link = f"[link]\nport = {port}\n" if port else ""
    path = folder / "agent.toml"
    path.write_text(
        f'[agent]\nid = "{agent}"\n[sources.camera]\ndriver = "opencv"\ndeliver = "every"\n'
        f'[sources.camera.options]\nsource = "{material.video}"\nloop = true\nrate_hz = {rate_hz}\n'
        f'[model]\npath = "{material.model}"\nworkers = {workers}\n[policy]\nname = "{policy}"\n'
        f"{link}[page]\nenabled = false\n"
    )
    return path


class _Net:
    """The graph, layer by layer; ``onnx`` is imported only here, as measuring needs it no more."""

    def __init__(self, seed: int, side_px: int, width: int) -> None:
        import onnx

        self._o: Any = onnx
        self._rng = np.random.default_rng(seed)
        self._side_px = side_px
        self._width = width
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._n = 0
        self._raw = self._build()

    def save(self, path: Path, *, gain: float, shift: float) -> None:
        helper, kept = self._o.helper, (len(self._nodes), len(self._weights), self._n)
        boxes, scores = self._op("Split", [self._raw, self._const(np.array([4, LABELS]))], outputs=2, axis=1)
        scale, base = (self._const(one) for one in self._grid())
        boxes = self._op("Add", [self._op("Mul", [self._op("Sigmoid", [boxes])[0], scale])[0], base])[0]
        scores = self._op("Mul", [scores, self._const(np.float32(gain))])[0]
        scores = self._op("Sigmoid", [self._op("Add", [scores, self._const(np.float32(shift))])[0]])[0]
        out = self._op("Concat", [boxes, scores], axis=1)[0]
        kind, n = self._o.TensorProto.FLOAT, sum((self._side_px // s) ** 2 for s in STRIDES)
        graph = helper.make_graph(
            self._nodes,
            "bench",
            [helper.make_tensor_value_info("images", kind, [1, 3, self._side_px, self._side_px])],
            [helper.make_tensor_value_info(out, kind, [1, 4 + LABELS, n])],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        names = {i: f"thing{i}" for i in range(LABELS)}
        about = {"task": "detect", "stride": 32, "batch": 1, "imgsz": [self._side_px] * 2, "names": names}
        helper.set_model_props(model, {key: str(value) for key, value in about.items()})
        path.write_bytes(model.SerializeToString())
        del self._nodes[kept[0] :], self._weights[kept[1] :]
        self._n = kept[2]

    def _build(self) -> str:
        x, levels, n_in = "images", [], 3
        for n_out, blocks in zip((self._width << n for n in range(5)), (0, 1, 2, 2, 1), strict=True):
            x = self._conv(x, n_in, n_out, stride=2)
            for _ in range(blocks):
                inner = self._conv(self._conv(x, n_out, n_out), n_out, n_out)
                x = self._op("Add", [x, inner])[0]
            levels.append((x, n_out))
            n_in = n_out
        flat = []
        for x, n_in in levels[2:]:
            y = self._conv(self._conv(x, n_in, 64), 64, 64)
            y = self._conv(y, 64, 4 + LABELS, side=1, activate=False)
            flat.append(self._op("Reshape", [y, self._const(np.array([1, 4 + LABELS, -1]))])[0])
        return self._op("Concat", flat, axis=2)[0]

    def _grid(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Centres within their cells, sides of one to five cells: sigmoid * scale + base."""
        scale, base = [], []
        for stride in STRIDES:
            n = self._side_px // stride
            y, x = np.divmod(np.arange(n * n), n)
            base.append(np.stack([x * stride, y * stride, np.full(n * n, stride), np.full(n * n, stride)]))
            scale.append(np.tile(np.array([[1], [1], [4], [4]]) * stride, n * n))
        return np.hstack(scale)[None].astype(np.float32), np.hstack(base)[None].astype(np.float32)

    def _conv(self, x: str, n_in: int, n_out: int, stride: int = 1, side: int = 3, *, activate: bool = True) -> str:
        spread = np.sqrt(2 / (n_in * side * side))
        weights = self._const(self._rng.normal(0, spread, (n_out, n_in, side, side)).astype(np.float32))
        pad = side // 2
        y = self._op("Conv", [x, weights], strides=[stride] * 2, pads=[pad] * 4, kernel_shape=[side] * 2)[0]
        return self._op("Mul", [y, self._op("Sigmoid", [y])[0]])[0] if activate else y

    def _op(self, kind: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> list[str]:
        names = [self._name() for _ in range(outputs)]
        self._nodes.append(self._o.helper.make_node(kind, inputs, names, **attributes))
        return names

    def _const(self, value: Any) -> str:
        name = self._name()
        self._weights.append(self._o.numpy_helper.from_array(np.asarray(value), name))
        return name

    def _name(self) -> str:
        self._n += 1
        return f"t{self._n}"
