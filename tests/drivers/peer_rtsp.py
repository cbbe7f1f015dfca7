"""GStreamer's RTSP server as a child of Debian's own Python, for tests that skip where it is not installed."""

from __future__ import annotations

import signal
import subprocess
from functools import cache
from pathlib import Path
from typing import Self

import pytest

from edge.ports import Frame

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("gst_rtsp_peer.py")
NEEDS = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [one for one in ("appsrc", "jpegenc", "rtpjpegpay", "openh264enc", "rtph264pay", "udpsink") if not Gst.ElementFactory.find(one)]
assert not missing, missing
"""
BITS, BLOCK_PX = 20, 16
READY_S = 20.0


@cache
def why_absent() -> str:
    """Why there can be no such server here; empty when there can."""
    if not Path(PYTHON).exists():
        return f"there is no {PYTHON}"
    done = subprocess.run([PYTHON, "-c", NEEDS], capture_output=True, text=True, check=False, timeout=60)
    last = (done.stderr.strip().splitlines() or ["unknown"])[-1]
    return f"{last}: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0" if done.returncode else ""


class RtspPeer:
    """A server on a free port. ``login`` is (basic or digest, user, password)."""

    def __init__(self, *login: str) -> None:
        if why_absent():
            pytest.skip(f"needs GStreamer's RTSP server: {why_absent()}")
        self._login = login
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Also again after `kill`, on the same port."""
        command = [PYTHON, str(SCRIPT), str(self.port), *self._login]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline().split()
        assert said[:1] == ["ready"], f"the RTSP server did not start: {said}"
        self.port = int(said[1])

    def url(self, path: str = "jpeg", login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def freeze(self) -> None:
        """Its sockets stay, and the kernel still accepts connections for it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(READY_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


def age_ms(frame: Frame) -> int:
    """How long before ``captured_ns`` the server made the picture, by the machine's clock that is drawn in it."""
    shades = frame.image[:, :, 0].mean(axis=0).reshape(BITS, BLOCK_PX).mean(axis=1)
    made_ms = int("".join("1" if shade > 128 else "0" for shade in shades), 2)
    return (frame.ref.captured_ns // 1_000_000 - made_ms) % (1 << BITS)
