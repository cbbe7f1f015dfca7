"""``jidoka run`` as a process in a folder of its own, the service manager's end, and things that go wrong."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from onnx import helper

from edge.models import bundle
from edge.vision.conventions import SegmentHead
from edge.vision.spec import InputSpec
from tests.models.graphs import darkness, save, tensor

WAIT_S = 20.0
MANIFEST = bundle.Manifest(
    model=bundle.About(name="dark", version="1.0.0", task="segment", labels=("hole",)),
    input=InputSpec(width_px=64, height_px=64, color="gray", scale=1 / 255, fit="stretch"),
    output=SegmentHead(activation="none"),
)
SETTINGS = """
[agent]
id = "cell"
[sources.camera]
driver = "opencv"
[sources.camera.options]
source = "parts.avi"
loop = true
rate_hz = 20.0
[model]
path = "{model}"
[policy]
{policy}
"""
PLC = """
[devices.plc]
driver = "modbus"
[devices.plc.options]
host = "127.0.0.1"
port = {port}
safe_line_stop = true
[plc]
poll_ms = 5.0
"""


class Daemon:
    """``jidoka run`` in a folder of its own; ``said`` is what it wrote to stderr, whole after its end."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.environ = {**os.environ, "JIDOKA_CACHE_DIR": str(cache)}
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, model: str = "dark", policy: str = "other = { min_score = 0.5 }", more: str = "") -> None:
        (self.folder / "agent.toml").write_text(SETTINGS.format(model=model, policy=policy) + more)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "edge.cli.main", "run", str(self.folder / "agent.toml"), *options]
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=self.environ)
        return self.process

    def until(self, what: str) -> None:
        """Until it has said this."""
        end = time.monotonic() + WAIT_S
        while what not in self.said():
            assert self.process is not None and self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            threading.Event().wait(0.02)

    def end(self, number: signal.Signals | None = None, wait_s: float = WAIT_S) -> int:
        assert self.process is not None
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(wait_s)

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def last_line(self) -> str:
        assert "Traceback" not in self.said()
        return self.said().splitlines()[-1]

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)


def furnished(folder: Path, cache: Path) -> Daemon:
    """A daemon with all it needs: a model of dark places, ten pictures as a video, settings."""
    bundle.write(folder / "dark", MANIFEST, darkness(folder / "darkness.onnx"))
    writer = cv2.VideoWriter(str(folder / "parts.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 64))
    for n in range(10):
        writer.write(np.full((64, 64, 3), 255 if n % 3 else 0, np.uint8))
    writer.release()
    made = Daemon(folder, cache)
    made.write()
    return made


class Manager:
    """systemd's end of the notification socket."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = str(folder / "notify")
        self._socket.bind(self.address)

    def hear(self, wait_s: float = WAIT_S) -> str:
        """The next message; empty when none came in time."""
        ready, _, _ = select.select([self._socket], [], [], wait_s)
        return self._socket.recv(4096).decode() if ready else ""

    def rest(self) -> list[str]:
        """Everything that waits now."""
        return list(iter(lambda: self.hear(0.0), ""))

    def close(self) -> None:
        self._socket.close()


def until(happens: Callable[[], Any]) -> Any:
    """What ``happens`` gives, as soon as that is something."""
    end = time.monotonic() + WAIT_S
    while not (found := happens()):
        assert time.monotonic() < end
        threading.Event().wait(0.01)
    return found


def heard(pid: int) -> bool:
    """Whether a process handles the signals that end it: SIGTERM comes last, and Python itself leaves it alone."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(one) for one in task.read_text().split()]
    return found


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def grey_is_trouble(path: Path, *, hangs: bool, above: float = 0.25) -> Path:
    """Passes its trial (black, noise) and fails or hangs on what is even and lighter than ``above``, as the warm-up
    frame is; with ``above`` negative it hangs in its trial.
    """
    high, low = (helper.make_node(op, ["images"], [name], keepdims=0) for op, name in _EXTREMES)
    nodes = [
        high,
        low,
        helper.make_node("Sub", ["high", "low"], ["range"]),
        helper.make_node("Equal", ["range", "zero"], ["even"]),
        helper.make_node("Greater", ["high", "above"], ["light"]),
        helper.make_node("And", ["even", "light"], ["trouble"]),
        helper.make_node("Cast", ["trouble"], ["flag"], to=7),
        helper.make_node("Mul", ["flag", "many"], ["n"]),
    ]
    if hangs:
        body = helper.make_graph(
            [helper.make_node("Identity", ["c"], ["c_out"]), helper.make_node("Add", ["x", "x"], ["x_out"])],
            "body",
            [tensor("i", (), 7), tensor("c", (), 9), tensor("x", ())],
            [tensor("c_out", (), 9), tensor("x_out", ())],
        )
        nodes += [helper.make_node("Loop", ["n", "go", "zero"], ["extra"], body=body)]
    else:
        nodes += [helper.make_node("Gather", ["table", "n"], ["extra"])]
    nodes += [
        helper.make_node("AveragePool", ["images"], ["p"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Add", ["p", "extra"], ["output0"]),
    ]
    weights = {
        "zero": np.float32(0),
        "above": np.float32(above),
        "many": np.int64(2**62),
        "go": np.bool_(True),
        "table": np.zeros(1, np.float32),
    }
    used = {name for node in nodes for name in node.input}
    weights = {name: value for name, value in weights.items() if name in used}
    return save(path, nodes, [tensor("images", (1, 1, 64, 64))], [tensor("output0", (1, 1, 16, 16))], weights)


_EXTREMES = (("ReduceMax", "high"), ("ReduceMin", "low"))


PLUG_IN = """
import numpy as np
from msgspec import Struct

class Options(Struct, frozen=True, forbid_unknown_fields=True):
    pass

class Policy:
    Options = Options
    frames = 1
    def __init__(self, options):
        pass
    def judge(self, inferences, last):
        raise ZeroDivisionError("a policy with a bug")

class Camera:
    Options = Options
    on_demand = False
    def __init__(self, name, options):
        pass
    def open(self):
        pass
    def read(self, timeout_s):
        raise ZeroDivisionError("a driver with a bug")
    def close(self):
        pass
"""
POINTS = """
[jidoka.policies]
buggy = buggy_plug_in:Policy
[jidoka.drivers]
buggy = buggy_plug_in:Camera
"""
