"""One process that loads a model, gives its first answer and then loads the same model some more times. Run by ``loading.py``.

Usage: PYTHON bench/first_answer.py KIND MODEL PICTURE EXTRA

KIND is ``edge``, ``bare``, ``ultralytics`` or ``roboflow``, each called by its own book. The last line on stdout is
``{"import_s", "first_ns", "rss_mb", "extra_mb", "found"}``: seconds to import what is used, the monotonic time of the
first answer, resident memory then, memory of each further model (median), and how many objects were found. Everything
that is imported is part of what is measured, so each kind imports its own. Ultralytics is AGPL-3.0: it is only ever run
here, by a python of another environment, and never imported by anything of ours. Roboflow's `inference` asks for an
account; a file of one's own is run without one by the model classes of its package `inference_models`.
"""

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[[], int]
"""The model on the picture: how many objects it finds."""


def edge(model: str, picture: str) -> Callable[[], Answer]:
    import edge
    from edge import decode, load

    def ready() -> Answer:
        predict = load(model)
        return lambda: len(predict(decode(Path(picture).read_bytes())))

    assert edge.__all__
    return ready


def bare(model: str, picture: str) -> Callable[[], Answer]:
    import cv2
    import numpy as np
    import onnxruntime

    def ready() -> Answer:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
        height, width = (n if isinstance(n, int) else 320 for n in shape[2:])

        def answer() -> int:
            blob = cv2.dnn.blobFromImage(cv2.imread(picture), 1 / 255, (width, height), swapRB=True)
            scores = session.run(None, {name: blob})[0][0, 4:].max(axis=0)
            return int(np.count_nonzero(scores > 0.25))  # candidates: a loop this bare suppresses nothing

        return answer

    return ready


def ultralytics(model: str, picture: str) -> Callable[[], Answer]:
    from ultralytics import YOLO

    def ready() -> Answer:
        yolo = YOLO(model, task="detect")
        return lambda: len(yolo.predict(picture, conf=0.25, iou=0.45, verbose=False, device="cpu")[0].boxes)

    return ready


def roboflow(model: str, picture: str) -> Callable[[], Answer]:
    import tempfile

    import cv2
    from inference_models.models.yolov8.yolov8_object_detection_onnx import YOLOv8ForObjectDetectionOnnx

    held = tempfile.TemporaryDirectory(prefix="roboflow-")  # they read a folder of this shape
    folder = Path(held.name)
    (folder / "weights.onnx").symlink_to(Path(model).resolve())
    (folder / "class_names.txt").write_text("\n".join(f"thing{n}" for n in range(80)))
    size = {"height": 320, "width": 320}
    net = {"training_input_size": size, "dynamic_spatial_size_supported": False, "color_mode": "rgb"}
    net |= {"resize_mode": "letterbox", "padding_value": 114, "input_channels": 3, "scaling_factor": 255}
    config = {"network_input": net, "forward_pass": {"static_batch_size": 1}}
    config["post_processing"] = {"type": "nms", "fused": False}
    (folder / "inference_config.json").write_text(json.dumps(config))

    def ready() -> Answer:
        assert folder.exists(), held
        detector = YOLOv8ForObjectDetectionOnnx.from_pretrained(
            str(folder), onnx_execution_providers=["CPUExecutionProvider"]
        )
        return lambda: len(detector(cv2.imread(picture))[0].xyxy)

    return ready


def main(kind: str, model: str, picture: str, extra: int) -> None:
    began = time.perf_counter()
    ready = {"edge": edge, "bare": bare, "ultralytics": ultralytics, "roboflow": roboflow}[kind](model, picture)
    import_s = time.perf_counter() - began
    kept = [ready()]
    found = kept[0]()
    first_ns = time.monotonic_ns()
    rss_mb = [resident_mb()]
    for _ in range(extra):
        kept.append(ready())
        kept[-1]()
        rss_mb.append(resident_mb())
    each = [after - before for before, after in itertools.pairwise(rss_mb)]
    told: dict[str, Any] = {"import_s": import_s, "first_ns": first_ns, "rss_mb": rss_mb[0], "found": found}
    print(json.dumps(told | {"extra_mb": statistics.median(each) if each else None}), flush=True)


def resident_mb() -> float:
    """Of this process, shared libraries included (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status names no VmRSS")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
