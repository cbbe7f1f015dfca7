"""The simulated PLC on the wire: Modbus TCP on loopback, unit 1. The register map is drawn in :mod:`sims.plc`.

The server thread only carries words between the wire and the program's registers; the program scans on in
:mod:`sims.live_line`, whether anybody is connected or not. What a plant does to such a server can be done to it:
``gone`` (refuses and drops connections), ``frozen`` (takes requests and never answers), and back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Literal

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.errors import LinkError
from sims.live_line import LiveLine
from sims.plc import Registers, status_words

UNIT = 1
RESULT_PART_NO, RESULT_CODE, HEARTBEAT_AGENT, LINE_STOP, AGENT_READY = range(100, 105)
REJECT_COIL, STOP_COIL = 0, 1
_FC_COILS, _FC_READ_INPUTS = frozenset({1, 5, 15}), 2
_START_TIMEOUT_S = 5.0

Health = Literal["ok", "gone", "frozen"]

# pymodbus speaks of every lost client; a cut line is this simulator's daily bread
logging.getLogger("pymodbus.logging").addHandler(logging.NullHandler())


class PlcServer:
    """Serves one line's registers. ``port`` 0 takes a free one, kept over ``gone`` and back."""

    def __init__(self, live: LiveLine, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.requests = 0
        self._live = live
        self._health: Health = "ok"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sim-plc")
        self._server: ModbusTcpServer | None = None
        self._thawed: asyncio.Event | None = None

    def start(self) -> None:
        """Listen. Raises LinkError PORT_TAKEN."""
        self._thread.start()
        try:
            self._call(self._open())
        except RuntimeError as error:
            self.stop()
            raise LinkError("PORT_TAKEN", f"the simulated PLC cannot listen on {self.host}:{self.port}") from error

    def stop(self) -> None:
        """Close everything. May be called twice."""
        if self._loop.is_closed():
            return
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set_health(self, health: Health) -> None:
        """Break it or mend it."""
        self._call(self._change(health))

    def _call(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_TIMEOUT_S)  # type: ignore[arg-type]

    async def _open(self) -> None:
        if self._thawed is None:
            self._thawed = asyncio.Event()
        self._thawed.set()
        device = SimDevice(
            UNIT,
            simdata=(
                [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
                [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
                [
                    SimData(0, count=10, datatype=DataType.REGISTERS, readonly=True),
                    SimData(RESULT_PART_NO, count=5, datatype=DataType.REGISTERS),
                ],
                [SimData(0, count=1, datatype=DataType.REGISTERS, readonly=True)],
            ),
            action=self._access,
        )
        self._server = ModbusTcpServer(device, address=(self.host, self.port))
        await self._server.serve_forever(background=True)
        # asyncio sets TCP_NODELAY on what it accepts, so answers leave at once
        self.port = self._server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def _close(self) -> None:
        if self._thawed is not None:
            self._thawed.set()
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None
        # let answers that were held back end before the loop does
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=1.0)

    async def _change(self, health: Health) -> None:
        was, self._health = self._health, health
        if health == "gone" and was != "gone":
            await self._close()
        elif health != "gone" and was == "gone":
            await self._open()
        if self._thawed is not None:
            if health == "frozen":
                self._thawed.clear()
            else:
                self._thawed.set()

    async def _access(
        self,
        function: int,
        start: int,
        address: int,
        _count: int,
        words: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Pymodbus asks before each access: put the program's words in, or take the agent's out."""
        if self._thawed is not None:
            await self._thawed.wait()
        self.requests += 1
        if values is not None:
            if function in _FC_COILS:
                self._take_coils(dict(enumerate(values, address)))
            else:
                self._take_words(dict(enumerate(values, address)))
        elif function in _FC_COILS:  # also asked after a write, for the echo
            self._live.with_registers(lambda regs: _put_coils(regs, words))
        elif function == _FC_READ_INPUTS:
            self._live.with_registers(lambda regs: _put_inputs(regs, words))
        else:
            self._live.with_registers(lambda regs: _put_words(regs, words, start))
        return None

    def _take_words(self, new: dict[int, int]) -> None:
        if RESULT_CODE in new:
            part_no = new.get(RESULT_PART_NO)
            if part_no is None:  # the code alone: it speaks of the number written before
                numbers: list[int] = []
                self._live.with_registers(lambda regs: numbers.append(regs.result_part_no))
                part_no = numbers[0]
            self._live.write_result(part_no, new[RESULT_CODE])
        self._live.with_registers(lambda regs: _take_words(regs, new))

    def _take_coils(self, new: dict[int, int]) -> None:
        if REJECT_COIL in new:
            self._live.write_coil(bool(new[REJECT_COIL]))
        if STOP_COIL in new:
            stop = bool(new[STOP_COIL])
            self._live.with_registers(lambda regs: setattr(regs, "coil_stop", stop))


def _put_words(regs: Registers, words: list[int], start: int) -> None:
    words[0 - start : 10 - start] = status_words(regs)
    first = RESULT_PART_NO - start
    words[first : first + 5] = [
        regs.result_part_no,
        regs.result_code,
        regs.heartbeat_agent,
        regs.line_stop,
        regs.agent_ready,
    ]


def _take_words(regs: Registers, new: dict[int, int]) -> None:
    if RESULT_PART_NO in new and RESULT_CODE not in new:
        regs.result_part_no = new[RESULT_PART_NO]
    regs.heartbeat_agent = new.get(HEARTBEAT_AGENT, regs.heartbeat_agent)
    regs.line_stop = new.get(LINE_STOP, regs.line_stop)
    regs.agent_ready = new.get(AGENT_READY, regs.agent_ready)


def _put_coils(regs: Registers, words: list[int]) -> None:
    words[0] = int(regs.coil_reject) | int(regs.coil_stop) << 1


def _put_inputs(regs: Registers, words: list[int]) -> None:
    words[0] = int(regs.trigger)
