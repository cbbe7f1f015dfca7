"""What the agent is compared with, as a process of its own: OpenCV and ONNX Runtime, and nothing else.

``first``  read, resize, run, look for the best score, over and over; tells when the first frame was through
``paced``  only ``session.run`` with a preallocated input, so many times a second

Usage: python bench/bare.py first|paced MODEL VIDEO HZ. Imports are part of what is measured: keep them few.
"""

import sys
import time

import cv2
import numpy as np
import onnxruntime


def main(kind: str, model_path: str, video: str, hz: float) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = onnxruntime.InferenceSession(model_path, options, providers=["CPUExecutionProvider"])
    name, shape = model.get_inputs()[0].name, model.get_inputs()[0].shape
    blob = np.full(shape, 0.5, np.float32)
    capture = cv2.VideoCapture(video) if kind == "first" else None
    due = time.monotonic()
    told = False
    while True:
        if capture is not None:
            found, frame = capture.read()
            if not found:
                capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
                continue
            small = cv2.resize(frame, (shape[3], shape[2]))
            np.copyto(blob[0], small.transpose(2, 0, 1)[::-1])
            np.multiply(blob, np.float32(1 / 255), out=blob)
        output = model.run(None, {name: blob})[0]
        if capture is not None:
            output[0, 4:].max()
        if not told:
            print(time.monotonic_ns(), flush=True)
            told = True
        if hz:
            due += 1 / hz
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
