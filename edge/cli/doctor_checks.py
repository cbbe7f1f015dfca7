"""What ``jidoka doctor`` looks at. Each check answers with findings and changes nothing, on the machine or the line."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from edge.config import Loaded
from edge.errors import ConfigError, JidokaError, SourceEnded
from edge.shell.assemble import make_driver
from edge.shell.broker import find_mosquitto

DISTRIBUTION = "jidoka-edge"
ORT_SAFE = (1, 32)
"""From here on onnxruntime has the fixes of 2026 for hostile models."""
FSYNC_SLOW_MS = 50.0
FSYNC_TRIES = 9
MIN_FREE_MB = 500
READ_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 3.0
DARK, BRIGHT = 10, 245
TIME_ERROR = 5
"""What adjtimex(2) returns while the clock is not synchronised."""
SANE_YEAR = 2025


class Finding(Struct, frozen=True):
    """One line of the doctor: ``mend`` must be done, ``warn`` should be known, ``info`` is for the record."""

    check: str
    state: Literal["ok", "info", "warn", "mend"]
    what: str
    do: str = ""


def versions() -> Iterator[Finding]:
    """Python, ourselves and our own install's libraries."""
    here = f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("python", "ok", f"{here}; jidoka {metadata.version(DISTRIBUTION)}")
    for line in metadata.requires(DISTRIBUTION) or []:
        if "extra ==" in line:
            continue
        name = line.partition(";")[0].strip().rstrip("0123456789.,<>=!~ ")
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "mend", "not installed", f"pip install {name}")
    yield from _onnxruntime()


def _onnxruntime() -> Iterator[Finding]:
    text = metadata.version("onnxruntime")
    found = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if found < ORT_SAFE:
        wanted = ".".join(map(str, ORT_SAFE))
        yield Finding(
            "onnxruntime age", "warn", f"{text} lacks fixes for hostile models", f"pip install 'onnxruntime>={wanted}'"
        )


def libraries() -> Iterator[Finding]:
    """The system libraries that OpenCV's wheel links."""
    if sys.platform != "linux":
        return
    for name, package in (("libGL.so.1", "libgl1"), ("libglib-2.0.so.0", "libglib2.0-0")):
        try:
            ctypes.CDLL(name)
        except OSError as error:
            yield Finding(name, "mend", str(error), f"apt-get install {package}")
        else:
            yield Finding(name, "ok", "found")
    # In a child: a library that crashes on import must not take the doctor with it.
    done = subprocess.run(
        [sys.executable, "-c", "import cv2, edge.models.runtime"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
        yield Finding("imports", "mend", last, "apt-get install libgl1 libglib2.0-0, or reinstall the package named")


def brokers() -> Iterator[Finding]:
    """What can be started as a broker here."""
    path = find_mosquitto()
    if path:
        yield Finding("mosquitto", "ok", path)
        return
    try:
        stand_in = f"iotcore {metadata.version('iotcore')} stands in: for one machine and minutes to hours"
    except metadata.PackageNotFoundError:
        stand_in = "and no stand-in either; only a broker elsewhere can be used"
    yield Finding("mosquitto", "warn", f"not installed; {stand_in}", "apt-get install mosquitto")


def port(number: int, who: str) -> Finding:
    """Whether we could listen on a loopback port."""
    name = f"port {number}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except PermissionError as error:
            return Finding(name, "warn", f"{who} may not take it: {error.strerror}", "take one above 1023")
        except OSError:
            return Finding(
                name, "info", f"in use: fine if that is {who}", f"`ss -ltnp 'sport = :{number}'` says by whom"
            )
    return Finding(name, "ok", f"free for {who}")


def broker_reachable(host: str, number: int, *, wanted: bool) -> Finding:
    """Whether something listens at the broker's address. Certificates and passwords are `jidoka watch`'s to try."""
    name = f"broker {host}:{number}"
    try:
        socket.create_connection((host, number), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        state: Literal["mend", "info"] = "mend" if wanted else "info"
        return Finding(name, state, f"not reachable: {error.strerror or error}", "start it: `jidoka broker run`")
    return Finding(name, "ok", "something listens; `jidoka watch` tries name, password and certificates")


def clock() -> Iterator[Finding]:
    """Whether UTC can be believed. It labels records; nothing is decided by it."""
    year = time.gmtime().tm_year
    if year < SANE_YEAR:
        yield Finding("clock", "mend", f"it says the year is {year}", "set it, and install an NTP service")
        return
    if sys.platform != "linux":
        yield Finding("clock", "info", f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC")
        return
    # adjtimex(2) with modes 0 only reads; struct timex has 208 bytes on 64-bit Linux, and zeros are modes 0.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    if state == TIME_ERROR:
        do = "install an NTP service: apt-get install systemd-timesyncd"
        yield Finding(
            "clock", "warn", "not synchronised; records may carry wrong times, inspection is not affected", do
        )
    else:
        yield Finding("clock", "ok", "synchronised")


def disk(folder: Path, need_mb: int) -> Iterator[Finding]:
    """Space and fsync time where the journal is, or will be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free_mb = shutil.disk_usage(there).free // 1_000_000
    enough = free_mb >= need_mb
    space = f"{free_mb} MB free at {there}, the journal may take {need_mb}"
    yield Finding(
        "disk space", "ok" if enough else "mend", space, "" if enough else "free some, or lower [journal] max_mb"
    )
    try:
        took_ms = _fsync_ms(there)
    except OSError as error:
        yield Finding(
            "disk", "mend", f"{there} cannot be written: {error.strerror}", "change its owner, or set data_dir"
        )
        return
    slow = took_ms > FSYNC_SLOW_MS
    do = "records wait that long before they leave; use a disk that is not an SD card" if slow else ""
    yield Finding("fsync", "warn" if slow else "ok", f"median {took_ms:.1f} ms for 4 KiB", do)


def _fsync_ms(folder: Path) -> float:
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FSYNC_TRIES):
            start = time.perf_counter()
            file.write(os.urandom(4096))
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - start) * 1000)
    return sorted(took)[len(took) // 2]


def devices(loaded: Loaded) -> Iterator[Finding]:
    """Open each camera and PLC of the settings and read once. Nothing is written."""
    for name, source in loaded.config.sources.items():
        options = loaded.source_options[name]
        made = partial(make_driver, source.driver, options, name, loaded.folder)
        yield _tried(f"source {name}", made, _frame)
    for name, device in loaded.config.devices.items():
        options = loaded.device_options[name]
        made = partial(make_driver, device.driver, options, name, loaded.folder)
        yield _tried(f"device {name}", made, _reading)


def _tried(check: str, make: Callable[[], Any], look: Callable[[Any], Any]) -> Finding:
    try:
        device = make()
    except ConfigError as error:
        return Finding(check, "mend", f"{error.code}: {error.what}", error.hint)
    try:
        device.open()
        return Finding(check, *look(device))
    except SourceEnded:
        return Finding(check, "mend", "it has no frames", "put pictures there")
    except JidokaError as error:
        why = f"; {error.why}" if error.why else ""
        return Finding(check, "mend", f"{error.code}: {error.what}{why}", error.hint)
    finally:
        device.close()


def _frame(camera: Any) -> tuple[Literal["ok", "warn"], str, str]:
    start = time.perf_counter()
    image = camera.read(READ_TIMEOUT_S).image
    took_ms = (time.perf_counter() - start) * 1000
    mean = float(image.mean())
    said = f"{image.shape[1]} x {image.shape[0]} px in {took_ms:.0f} ms, mean brightness {mean:.0f} of 255"
    if not DARK <= mean <= BRIGHT:
        return "warn", said, "the picture is nearly all dark or bright: check light, lens cap and exposure"
    return "ok", said, ""


def _reading(device: Any) -> tuple[Literal["ok"], str, str]:
    start = time.perf_counter()
    values = device.read(READ_TIMEOUT_S).values
    took_ms = (time.perf_counter() - start) * 1000
    return "ok", f"answers in {took_ms:.1f} ms: " + ", ".join(f"{key} {value}" for key, value in values.items()), ""


def min_free_mb(loaded: Loaded | None) -> int:
    """What the journal may take, or a guess without settings."""
    return loaded.config.journal.max_mb if loaded else MIN_FREE_MB
