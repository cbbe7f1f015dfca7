"""A bench for each of our drivers: the real driver, a real server, and a relay with faults between them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import cv2
from contract_relay import Relay
from peer_http import HttpPeer, picture
from peer_plc import PlcPeer

from drivers.camera_http import HttpCamera, HttpOptions
from drivers.camera_opencv import OpenCvCamera, OpenCvOptions
from drivers.plc_modbus import ModbusOptions, ModbusPlc
from drivers.sensor_file import CsvOptions, CsvSensor


class RelayBench:
    """Base: a peer behind a relay. ``faults`` says which switches there are."""

    faults = frozenset({"freeze", "vanish", "babble"})
    driver = ""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.peer = self._stack.enter_context(self.make_peer())
        self.relay = self._stack.enter_context(Relay(self.peer.port))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def make_peer(self) -> Any:
        raise NotImplementedError

    def heal(self) -> None:
        self.relay.switch("pass")

    def freeze(self) -> None:
        self.relay.switch("frozen")

    def vanish(self) -> None:
        self.relay.switch("gone")

    def babble(self, seed: int) -> None:
        self.relay.switch("babble", seed)


class PlcBench(RelayBench):
    driver = "modbus"
    mode = "handshake"

    def make_peer(self) -> PlcPeer:
        return PlcPeer()

    def make(self, timeout_s: float) -> ModbusPlc:
        options = ModbusOptions(host="127.0.0.1", port=self.relay.port, timeout_s=timeout_s, mode=self.mode)
        return ModbusPlc("plc", options)


class CoilBench(PlcBench):
    mode = "coil"


class SnapshotBench(RelayBench):
    driver = "http"

    def make_peer(self) -> HttpPeer:
        return HttpPeer()

    def make(self, timeout_s: float) -> HttpCamera:
        url = f"http://127.0.0.1:{self.relay.port}/snapshot"
        return HttpCamera("cam", HttpOptions(url=url, timeout_s=timeout_s))


class StreamBench(RelayBench):
    driver = "http"

    def make_peer(self) -> HttpPeer:
        peer = HttpPeer()
        peer.endless = True
        return peer

    def make(self, timeout_s: float) -> HttpCamera:
        url = f"http://127.0.0.1:{self.relay.port}/stream"
        return HttpCamera("cam", HttpOptions(url=url, mode="mjpeg", timeout_s=timeout_s))


class OpenCvStreamBench(StreamBench):
    driver = "opencv"

    def make(self, timeout_s: float) -> OpenCvCamera:
        url = f"http://127.0.0.1:{self.relay.port}/stream"
        return OpenCvCamera("cam", OpenCvOptions(source=url, timeout_s=timeout_s))


class FolderBench:
    """A folder that can be taken away or spoilt; files do not freeze."""

    driver = "opencv"
    faults = frozenset({"vanish", "babble"})

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "pictures"
        self._away = folder / "away"

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self.heal()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def make(self, timeout_s: float) -> OpenCvCamera:
        return OpenCvCamera("cam", OpenCvOptions(source=str(self._folder), timeout_s=timeout_s))

    def heal(self) -> None:
        if self._away.exists():
            self._away.rename(self._folder)
        for number in range(5):
            cv2.imwrite(str(self._folder / f"{number}.png"), picture(number))

    def vanish(self) -> None:
        self._folder.rename(self._away)

    def babble(self, seed: int) -> None:
        for path in self._folder.iterdir():
            path.write_bytes(bytes((seed + i * i) % 256 for i in range(500)))


class TableBench:
    """A recording that can be taken away or spoilt; files do not freeze."""

    driver = "csv"
    faults = frozenset({"vanish", "babble"})

    def __init__(self, folder: Path) -> None:
        self._file = folder / "recording.csv"

    def __enter__(self) -> Self:
        self.heal()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def make(self, timeout_s: float) -> CsvSensor:
        assert timeout_s > 0
        return CsvSensor("oven", CsvOptions(source=str(self._file)))

    def heal(self) -> None:
        self._file.write_text("temp_c,door\n" + "".join(f"{i},shut\n" for i in range(20)))

    def vanish(self) -> None:
        self._file.unlink()

    def babble(self, seed: int) -> None:
        self._file.write_bytes(bytes((seed + i * i) % 256 for i in range(500)))
