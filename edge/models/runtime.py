"""ONNX Runtime, imported here and nowhere else in the house: quiet before it is loaded.

Its wheels (seen in 1.32) gather figures about their use under a device's id in the user's cache folder, for an address
of their maker. Nothing leaves the plant, so that is switched off; it looks at this variable when it is loaded. The
trial's child, which imports nothing of ours, inherits it.
"""

from __future__ import annotations

import os
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

ort: Any = onnxruntime  # its typing does not export what its documentation does
