"""PLCs over Modbus TCP: the part handshake, or a plain trigger bit and reject coil.

Device family: any controller with a Modbus TCP server (CODESYS, Siemens with MB_SERVER, Beckhoff TF6250, WAGO, Schneider).
Protocol: MODBUS Application Protocol V1.1b3, sections 6.1 to 6.12 (functions 2, 3, 5, 6, 16) and 7 (exceptions);
MODBUS Messaging on TCP/IP V1.0b, section 3 (MBAP header). The PLC is the server; this driver is its only writer of
the agent's registers.

Handshake mode. Addresses are zero-based, as on the wire; u32 take two registers, high word first by default::

    PLC -> agent, one FC3 read of ten registers from `status_register`
    +0 part_no          u16, wraps      the part now before the camera
    +1 encoder_latched  u32, wraps      encoder when that part was triggered
    +3 encoder          u32, wraps      encoder now
    +5 ready            0 or 1          the PLC is in automatic and wants verdicts
    +6 result_ack       u16             last result_part_no the PLC accepted
    +7 heartbeat_plc    u16             changes while the PLC program runs
    +8 recipe           u16             part type
    +9 ack_code         1 accepted, 2 late, 3 unknown part

    agent -> PLC
    result_register      100 result_part_no, 101 result_code (0 none, 1 pass, 2 fail, 3 unsure): one FC16 write,
                         so that the PLC never sees a number with another part's code
    heartbeat_register   102  u16        any change counts
    line_stop_register   103  0 or 1
    agent_ready_register 104  0 or 1
    reject_coil            0  pulse, only where the agent times the gate

Coil mode: discrete input `trigger_input` (0) is the trigger, coil `reject_coil` (0) the gate, coil `line_stop_coil` (1)
stops the line, `encoder_register` (3) holds the u32 encoder where `encoder = true`. No part numbers and no heartbeat:
a missed or doubled trigger cannot be seen.

Pulses do not block: `apply(reject)` sets the coil and returns; the coil is cleared by `tick(now_ns)`, which every
`read`, `beat` and `apply` calls first. So a pulse lasts `pulse_ms` plus at most one polling interval.

agent_ready is written by `beat` when it changes, and by the first one after `open` or `safe`. Stop beating before `safe()`
when leaving.

Modbus TCP has no checksum beyond TCP's: a bit flipped in a gateway passes. Heartbeat and result_ack are there for that.
Needs the extra `modbus` (pymodbus).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers._modbus import Answer, ModbusConnection, Refused
from drivers._plc_registers import (
    MAX_U16,
    STATUS_REGISTERS,
    WordOrder,
    decode_status,
    decode_u32,
    encode_result,
)
from edge.domain import Applied, Command, Reading
from edge.errors import DeviceError

MAX_PULSE_MS = 10_000
NS_PER_MS = 1_000_000

Address = Annotated[int, Meta(ge=0, le=MAX_U16)]


class ModbusOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach the PLC and where its registers are. Addresses are zero-based.

    ``host`` is best an address: looking up a name is not under ``timeout_s``. ``timeout_s`` is for connecting and for
    each request. ``safe_line_stop``: `safe()` stops the line; when false `safe()` leaves the stop as it is, for a safe
    state must never start a line that was stopped.
    """

    host: str
    port: Annotated[int, Meta(ge=1, le=MAX_U16)] = 502
    unit_id: Annotated[int, Meta(ge=0, le=255)] = 1
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 0.5
    mode: Literal["handshake", "coil"] = "handshake"
    word_order: WordOrder = "high_first"
    encoder: bool = False
    safe_line_stop: bool = False
    pulse_ms: Annotated[int, Meta(ge=1, le=MAX_PULSE_MS)] = 50
    status_register: Address = 0
    result_register: Address = 100
    heartbeat_register: Address = 102
    line_stop_register: Address = 103
    agent_ready_register: Address = 104
    encoder_register: Address = 3
    trigger_input: Address = 0
    reject_coil: Address = 0
    line_stop_coil: Address = 1


class ModbusPlc:
    """A PLC as `edge.ports.Plc`. One thread owns it. No retry and no reconnect inside: the caller closes and opens."""

    Options: ClassVar[type[ModbusOptions]] = ModbusOptions

    def __init__(self, name: str, options: ModbusOptions) -> None:
        self._name = name
        self._o = options
        self._bus = ModbusConnection(options.host, options.port, options.unit_id)
        self._pulse_end_ns: int | None = None
        self._ready_written: bool | None = None
        self._ever_opened = False

    def open(self) -> None:
        """Connect within ``timeout_s`` and end a reject pulse that a lost connection left standing. Idempotent."""
        if self._bus.is_open:
            return
        self._bus.open(self._o.timeout_s)
        self._ever_opened = True
        self._ready_written = None
        self.tick(time.monotonic_ns())

    def read(self, timeout_s: float) -> Reading:
        """Status as values; keys in `decode_status`, or ``trigger`` and ``encoder`` in coil mode.

        ``at_ns`` is when the request left, so the values are never older than that.
        Raises DeviceError: PLC_TIMEOUT, PLC_LOST, PLC_MALFORMED, PLC_REFUSED, PLC_NOT_OPEN.
        """
        until_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        self.tick(time.monotonic_ns(), until_ns)
        at_ns = time.monotonic_ns()
        if self._o.mode == "handshake":
            registers = _accepted(self._bus.read_registers(self._o.status_register, STATUS_REGISTERS, until_ns))
            return Reading(self._name, at_ns, decode_status(registers, self._o.word_order))
        bits = _accepted(self._bus.read_inputs(self._o.trigger_input, 1, until_ns))
        values: dict[str, float | int | bool | str] = {"trigger": bool(bits[0])}
        if self._o.encoder:
            words = _accepted(self._bus.read_registers(self._o.encoder_register, 2, until_ns))
            values["encoder"] = decode_u32(words, self._o.word_order)
        return Reading(self._name, at_ns, values)

    def beat(self, value: int, *, ready: bool) -> None:
        """Write the heartbeat (u16, wraps) and, when it changed, agent_ready. In coil mode only ends due pulses."""
        self.tick(time.monotonic_ns())
        if self._o.mode == "coil":
            return
        _accepted(self._bus.write_register(self._o.heartbeat_register, value & MAX_U16, self._until_ns()))
        if self._ready_written is not ready:
            _accepted(self._bus.write_register(self._o.agent_ready_register, int(ready), self._until_ns()))
            self._ready_written = ready

    def apply(self, command: Command) -> Applied:
        """Carry out one command. Refused with ok=False: CMD_LATE, CMD_UNKNOWN, CMD_RANGE, CMD_REFUSED (by the PLC).

        ``at_ns`` is after the PLC's answer. Raises DeviceError when the PLC is out of reach; whether the write was
        carried out is then unknown, and result_ack will tell.
        """
        self.tick(time.monotonic_ns())
        write = self._writer(command)
        if write is None:
            what = f"{self._o.mode} mode has no action {command.action!r}"
            return self._refuse(command, "CMD_UNKNOWN", what)
        # Checked last thing before the write: ending a pulse above may have taken time.
        late_ns = time.monotonic_ns() - command.deadline_ns
        if late_ns > 0:
            return self._refuse(command, "CMD_LATE", f"{late_ns / NS_PER_MS:.1f} ms after its deadline")
        try:
            answer = write()
        except ValueError as bad:
            return self._refuse(command, "CMD_RANGE", str(bad))
        if isinstance(answer, Refused):
            return self._refuse(command, "CMD_REFUSED", answer.what)
        return Applied(command.command_id, command.device, ok=True, at_ns=time.monotonic_ns())

    def tick(self, now_ns: int, until_ns: int | None = None) -> None:
        """End the reject pulse if it is due at ``now_ns`` (monotonic). Cheap when nothing is due. Raises DeviceError."""
        if self._pulse_end_ns is not None and now_ns >= self._pulse_end_ns:
            self._clear_reject(self._until_ns() if until_ns is None else min(until_ns, self._until_ns()))

    def next_tick_ns(self) -> int | None:
        """When `tick` next has something to do, for callers who want pulses exact to the millisecond."""
        return self._pulse_end_ns

    def safe(self) -> None:
        """agent_ready 0, reject off, line stopped if ``safe_line_stop``. Never raises; anywhere, any number of times.

        Without a connection one fresh one is tried, for outputs may be standing. Before the first open there is nothing
        of ours to take back. Takes at most about twice ``timeout_s``.
        """
        if not self._ever_opened:
            return
        was_open = self._bus.is_open
        try:
            if not was_open:
                self._bus.open(self._o.timeout_s)
            self._write_safe_state(self._until_ns())
        except DeviceError:
            # Out of reach: the PLC's own heartbeat watchdog has to hold the line. Nobody here can do more.
            self._bus.close()
        self._ready_written = None
        if not was_open:
            self._bus.close()

    def close(self) -> None:
        """Disconnect; a pulse still standing is ended first where possible. Never raises."""
        try:
            if self._bus.is_open and self._pulse_end_ns is not None:
                self._clear_reject(self._until_ns())
        except DeviceError:
            pass  # out of reach; the next open() or safe() ends the pulse
        finally:
            self._bus.close()

    def _writer(self, command: Command) -> Callable[[], Answer | Refused] | None:
        """What carries the command out, or None where this mode has no such action."""
        match command.action:
            case "verdict" if self._o.mode == "handshake":
                return lambda: self._bus.write_registers(
                    self._o.result_register, encode_result(command.part_no, command.code), self._until_ns()
                )
            case "reject":
                return lambda: self._start_pulse(command.pulse_ms or self._o.pulse_ms)
            case "stop":
                return lambda: self._write_line_stop(stop=True)
            case "release":
                return lambda: self._write_line_stop(stop=False)
            case "outputs_off":
                return self._outputs_off
            case _:
                return None

    def _start_pulse(self, pulse_ms: int) -> Answer | Refused:
        """Set the reject coil; a pulse that is already standing is made longer, not ended and begun again."""
        if not 1 <= pulse_ms <= MAX_PULSE_MS:
            raise ValueError(f"pulse_ms {pulse_ms} is not in 1..{MAX_PULSE_MS}")
        # Noted before the write: if the answer is lost the coil may stand all the same, and must be ended.
        self._pulse_end_ns = time.monotonic_ns() + pulse_ms * NS_PER_MS
        answer = self._bus.write_coil(self._o.reject_coil, True, self._until_ns())
        self._pulse_end_ns = None if isinstance(answer, Refused) else time.monotonic_ns() + pulse_ms * NS_PER_MS
        return answer

    def _write_line_stop(self, *, stop: bool) -> Answer | Refused:
        if self._o.mode == "coil":
            return self._bus.write_coil(self._o.line_stop_coil, stop, self._until_ns())
        return self._bus.write_register(self._o.line_stop_register, int(stop), self._until_ns())

    def _outputs_off(self) -> Answer | Refused:
        self._clear_reject(self._until_ns())
        return self._write_line_stop(stop=False)

    def _clear_reject(self, until_ns: int) -> None:
        """A refusal is not an error here: in handshake mode many PLCs have no coils at all."""
        self._bus.write_coil(self._o.reject_coil, False, until_ns)
        self._pulse_end_ns = None

    def _write_safe_state(self, until_ns: int) -> None:
        # Most urgent first: whatever the time-out cuts off comes last.
        self._clear_reject(until_ns)
        if self._o.safe_line_stop:
            self._write_line_stop(stop=True)
        if self._o.mode == "handshake":
            self._bus.write_register(self._o.agent_ready_register, 0, until_ns)

    def _until_ns(self) -> int:
        return time.monotonic_ns() + int(self._o.timeout_s * 1e9)

    def _refuse(self, command: Command, code: str, what: str) -> Applied:
        return Applied(command.command_id, command.device, ok=False, at_ns=time.monotonic_ns(), code=code, what=what)


def _accepted(answer: Answer | Refused) -> Answer:
    if isinstance(answer, Refused):
        raise DeviceError(
            "PLC_REFUSED", answer.what, hint="compare unit_id and the register addresses with the PLC's register map"
        )
    return answer
