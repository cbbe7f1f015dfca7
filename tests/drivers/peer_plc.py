"""A real Modbus TCP server (pymodbus SimDevice) in a thread of its own, easy to bend from a test."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Self

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


class PlcPeer:
    """``with PlcPeer() as peer``: holding registers 0..199, 16 coils, 16 discrete inputs, unit 1, on 127.0.0.1.

    ``requests`` lists what the driver asked: (function, address, count, values or None).
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.requests: list[tuple[int, int, int, list[int] | None]] = []
        self.connections = 0
        self.exception_code = 0
        self.delay_s = 0.0
        self.holding: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._leaving = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plc-peer")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(10), "the peer did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leaving.set)
            self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def coils(self) -> list[int]:
        return [self._bits["c"][0] & 1, self._bits["c"][0] >> 1 & 1]

    def set_input(self, on: bool) -> None:
        self._bits["d"][0] = int(on)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        words = [SimData(0, count=200, values=0, datatype=DataType.REGISTERS)]
        device = SimDevice(1, simdata=(bits, bits, words, words), action=self._act)
        server = ModbusTcpServer(
            device, address=("127.0.0.1", self.port), trace_pdu=self._note, trace_connect=self._count_connection
        )
        await server.serve_forever(background=True)
        self.port = server.transport.sockets[0].getsockname()[1]
        blocks = server.context.devices[1].block
        self.holding = blocks["h"][2]
        self._bits = {key: blocks[key][2] for key in "cd"}
        self._up.set()
        await self._leaving.wait()
        await _settled()  # connections being accepted, answers being written
        await server.shutdown()
        await _settled()

    async def _act(self, *_: object) -> ExcCodes | None:
        if self.delay_s:
            with suppress(TimeoutError):  # a pause that ends at once when the peer is told to leave
                await asyncio.wait_for(self._leaving.wait(), self.delay_s)
        return ExcCodes(self.exception_code) if self.exception_code else None

    def _note(self, sending: bool, pdu):
        if not sending:
            values = list(pdu.registers) or [int(bit) for bit in pdu.bits]
            count = pdu.count or len(values)
            self.requests.append((pdu.function_code, pdu.address, count, values or None))
        return pdu

    def _count_connection(self, up: bool) -> None:
        self.connections += int(up)


async def _settled() -> None:
    """Everything already under way has run; sockets being closed are closed."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
    for _ in range(3):
        turned = asyncio.Event()
        asyncio.get_running_loop().call_soon(turned.set)
        await turned.wait()
