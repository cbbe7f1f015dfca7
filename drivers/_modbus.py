"""One Modbus TCP connection with deadlines: what `drivers.plc_modbus` needs of pymodbus, and no more.

pymodbus 3.16's synchronous client connects again by itself inside a request, renews its time-out with every byte that
trickles in, and looks at the wall clock. Here a request has one deadline on the monotonic clock, a connection that
failed once is closed, and only DeviceError comes out. After a time-out the late answer would be taken for the next
one, which is another reason to close.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pymodbus.client import ModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ConnectionException
from pymodbus.pdu import ModbusPDU

from edge.errors import DeviceError

# pymodbus logs every failure at error level; each is raised here as well, and must not land on a bare stderr.
logging.getLogger("pymodbus").addHandler(logging.NullHandler())

RECEIVE_BYTES = 4096
"""More than any Modbus frame (260 bytes); a flood is cut by the deadline."""

Answer: TypeAlias = list[int]
"""Registers read (0..65535), bits read (0 or 1), or empty for a write that was carried out."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The device answered with a Modbus exception: it is there, and will not."""

    what: str


class ModbusConnection:
    """One connection to one unit. Not thread-safe. All ``until_ns`` are monotonic deadlines."""

    def __init__(self, host: str, port: int, unit_id: int) -> None:
        self._where = f"{host}:{port}"
        self._unit_id = unit_id
        self._client = _Client(host, port=port, retries=0)

    @property
    def is_open(self) -> bool:
        """True until close() or the first failure."""
        return self._client.socket is not None

    def open(self, timeout_s: float) -> None:
        """Connect. Raises DeviceError PLC_UNREACHABLE, or PLC_TIMEOUT after ``timeout_s``."""
        try:
            self._client.dial(timeout_s)
        except TimeoutError as late:
            raise DeviceError(
                "PLC_TIMEOUT",
                f"no connection to the PLC at {self._where} within {timeout_s:g} s",
                hint="check cable, address and firewall",
            ) from late
        except OSError as cause:
            raise DeviceError(
                "PLC_UNREACHABLE",
                f"cannot connect to the PLC at {self._where}",
                cause.strerror or str(cause),
                "check address and port, and that the PLC's Modbus server runs",
            ) from cause

    def close(self) -> None:
        """Disconnect. Never raises."""
        self._client.close()

    def read_registers(self, address: int, count: int, until_ns: int) -> Answer | Refused:
        """FC3, holding registers."""
        call = self._client.read_holding_registers
        answer = self._call(lambda: call(address, count=count, device_id=self._unit_id), 3, until_ns)
        return answer if isinstance(answer, Refused) else self._sized(list(answer.registers), count)

    def read_inputs(self, address: int, count: int, until_ns: int) -> Answer | Refused:
        """FC2, discrete inputs. The wire pads to whole bytes; only ``count`` bits come back."""
        call = self._client.read_discrete_inputs
        answer = self._call(lambda: call(address, count=count, device_id=self._unit_id), 2, until_ns)
        if isinstance(answer, Refused):
            return answer
        return self._sized([int(bit) for bit in answer.bits[:count]], count)

    def write_register(self, address: int, value: int, until_ns: int) -> Answer | Refused:
        """FC6; the echo must match."""
        call = self._client.write_register
        answer = self._call(lambda: call(address, value, device_id=self._unit_id), 6, until_ns)
        return self._echoed(answer, lambda a: (a.address, list(a.registers)) == (address, [value]))

    def write_registers(self, address: int, values: list[int], until_ns: int) -> Answer | Refused:
        """FC16, all values in one write."""
        call = self._client.write_registers
        answer = self._call(lambda: call(address, values, device_id=self._unit_id), 16, until_ns)
        return self._echoed(answer, lambda a: (a.address, a.count) == (address, len(values)))

    def write_coil(self, address: int, value: bool, until_ns: int) -> Answer | Refused:
        """FC5; the echo must match."""
        call = self._client.write_coil
        answer = self._call(lambda: call(address, value, device_id=self._unit_id), 5, until_ns)
        return self._echoed(answer, lambda a: (a.address, list(a.bits)[:1]) == (address, [value]))

    def _call(self, request: Callable[[], ModbusPDU], function_code: int, until_ns: int) -> ModbusPDU | Refused:
        if not self.is_open:
            raise DeviceError("PLC_NOT_OPEN", f"no connection to the PLC at {self._where}", hint="open it first")
        self._client.begin(until_ns)
        try:
            answer = request()
        except Exception as cause:  # whatever bytes can provoke in a foreign parser ends here
            raise self._failed(cause) from cause
        if answer.isError():
            return Refused(_exception_text(answer, self._where))
        if answer.function_code != function_code:
            raise self._malformed(f"function {answer.function_code} answered to function {function_code}")
        return answer

    def _failed(self, cause: Exception) -> DeviceError:
        client = self._client
        client.close()
        if isinstance(cause, ConnectionException) or (
            isinstance(cause, OSError) and not isinstance(cause, TimeoutError)
        ):
            return DeviceError(
                "PLC_LOST",
                f"the connection to the PLC at {self._where} broke",
                client.why_lost or str(cause),
                "check cable and that the PLC is in RUN",
            )
        if not client.heard_bytes:
            return DeviceError(
                "PLC_TIMEOUT",
                f"the PLC at {self._where} did not answer in time",
                hint="check that the PLC is in RUN, or raise timeout_s",
            )
        return self._malformed(f"{client.heard_bytes} bytes that are not an answer")

    def _malformed(self, why: str) -> DeviceError:
        self._client.close()
        return DeviceError(
            "PLC_MALFORMED",
            f"the PLC at {self._where} answered nonsense",
            why,
            "check that this port speaks Modbus TCP, and unit_id",
        )

    def _sized(self, values: list[int], count: int) -> Answer:
        if len(values) != count:
            raise self._malformed(f"{len(values)} values instead of {count}")
        return values

    def _echoed(self, answer: ModbusPDU | Refused, matches: Callable[[ModbusPDU], bool]) -> Answer | Refused:
        if isinstance(answer, Refused):
            return answer
        if not matches(answer):
            raise self._malformed("the echo of a write differs from what was written")
        return []


class _Client(ModbusTcpClient):
    """pymodbus' client on our socket rules: TCP_NODELAY, one deadline a request, no reconnect of its own."""

    until_ns = 0
    heard_bytes = 0
    why_lost = ""

    def dial(self, timeout_s: float) -> None:
        """Connect; raises OSError."""
        self.close()
        params = self.comm_params
        self.socket = socket.create_connection((params.host, params.port), timeout=timeout_s)
        # A request is one small segment; waiting to fill it costs up to 40 ms against a delayed ACK.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def begin(self, until_ns: int) -> None:
        """Start the clock of one request."""
        self.until_ns = until_ns
        self.heard_bytes = 0
        self.why_lost = ""
        # pymodbus looks at this between two pieces of an answer.
        self.comm_params.timeout_connect = max(self._left_s(), 0.001)

    def close(self) -> None:
        """Let the socket go."""
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def connect(self) -> bool:
        """Called by pymodbus before each request; would hide a lost connection if it dialled."""
        return self.socket is not None

    def send(self, request: bytes, addr: tuple[str, int] | None = None) -> int:
        """The whole frame, within the deadline."""
        del addr
        sock = self._socket_within_deadline()
        try:
            sock.sendall(request)
        except TimeoutError:
            raise
        except OSError as cause:
            self.why_lost = cause.strerror or str(cause)
            raise ConnectionException(self.why_lost) from cause
        return len(request)

    def recv(self, size: int | None) -> bytes:
        """Some bytes; b'' when the deadline has passed, which pymodbus takes for a time-out."""
        del size
        try:
            data = self._socket_within_deadline().recv(RECEIVE_BYTES)
        except TimeoutError:
            return b""
        except OSError as cause:
            self.why_lost = cause.strerror or str(cause)
            raise ConnectionException(self.why_lost) from cause
        if not data:
            self.why_lost = "closed by the PLC"
            raise ConnectionException(self.why_lost)
        self.heard_bytes += len(data)
        return data

    def _left_s(self) -> float:
        return (self.until_ns - time.monotonic_ns()) / 1e9

    def _socket_within_deadline(self) -> socket.socket:
        if self.socket is None:
            raise ConnectionException("not connected")
        left_s = self._left_s()
        if left_s <= 0:
            raise TimeoutError("deadline passed")
        self.socket.settimeout(left_s)
        return self.socket


def _exception_text(answer: ModbusPDU, where: str) -> str:
    code = answer.exception_code
    try:
        name = ExcCodes(code).name.lower().replace("_", " ")
    except ValueError:
        name = "unknown code"
    return f"the PLC at {where} refused the request: Modbus exception {code}, {name}"
