"""Ultralytics' own predictor on the same model and video, as it is called by the book. Run by ``pipeline.py --peer``.

Usage: PYTHON bench/peer_ultralytics.py MODEL VIDEO SIDE_PX THREADS. Reads a number of seconds a line, prints ``{"fps": …}``.
With 2 threads everything is at its defaults; with 1 the runtime and everybody's pools are held to one thread. PYTHON is
one of another environment, which has Ultralytics; it is AGPL-3.0 and never imported by anything of ours.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

SETTLE_FRAMES = 8


def main(model_path: str, video: str, side_px: int, threads: int) -> None:
    import onnxruntime

    if threads == 1:
        made = onnxruntime.InferenceSession

        def single(path: str, _options: Any = None, **kwargs: Any) -> Any:  # it offers no setting for it
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            return made(path, options, **kwargs)

        onnxruntime.InferenceSession = single
    from ultralytics import YOLO

    model = YOLO(model_path, task="detect")
    if threads == 1:
        import cv2
        import torch

        cv2.setNumThreads(1)
        torch.set_num_threads(1)

    def frames() -> Iterator[Any]:
        while True:
            yield from model.predict(
                video, stream=True, imgsz=side_px, conf=0.25, iou=0.45, verbose=False, rect=False, device="cpu"
            )

    run = frames()
    for _ in range(SETTLE_FRAMES):
        next(run)
    for line in sys.stdin:
        n, began = 0, time.perf_counter()
        while time.perf_counter() - began < float(line):
            next(run)
            n += 1
        print(json.dumps({"fps": n / (time.perf_counter() - began)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
