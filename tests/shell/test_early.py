"""What a start begins with."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "cv2", "onnxruntime", "paho", "importlib.metadata")


def test_a_daemon_begins_to_read_its_model_before_anything_heavy_is_imported() -> None:
    asked = f"import sys, edge.shell.daemon; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
