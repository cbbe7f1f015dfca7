"""A PLC over a simulated bus: what thread ``actuate-<device>`` and the Modbus driver do, each request with its time.

::

    closed ──connect, first read──▶ up     DeviceChanged(up=True) once, then a Polled whatever it says
       ▲                             │ an error
       └──── back-off ◀── down ◀─────┘     DeviceChanged(up=False) once; commands wait for their deadline

One request at a time, the most urgent first: safe, commands, heartbeat, poll. Its effect is half a round trip after it
left. What is told of a poll is :class:`edge.core.polling.Teller`'s business, as live.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Struct

from drivers._plc_registers import decode_status
from edge.core.backoff import Backoff
from edge.core.polling import Teller
from edge.domain import Applied, Command, Reading
from edge.events import DeviceChanged, Polled
from sims.plc import status_words
from sims.virtual.delays import BusSpec
from sims.virtual.kernel import MS
from sims.virtual.line import LineNode
from sims.virtual.outputs import Outputs
from sims.virtual.rooms import Life

COMMAND_LIMIT = 64
QUIET_NS = 100 * MS
U16 = 1 << 16


class Setup(Struct, frozen=True):
    """What the driver and the thread are told. ``every``: each poll is an event, as for an agent-timed gate."""

    name: str
    mode: str
    poll_ms: float
    pulse_ms: int
    encoder: bool
    every: bool


class _Job(Struct):
    """One request on the bus. ``write`` takes effect at the PLC; ``done`` is when the answer is here."""

    write: Callable[[], None]
    done: Callable[[int], None]
    failed: Callable[[str, str, int], None] | None = None


class PlcBus:
    """A :class:`sims.virtual.rooms.Device`."""

    def __init__(self, setup: Setup, life: Life, line: LineNode, spec: BusSpec) -> None:
        self._setup, self._life, self._line, self._spec = setup, life, line, spec
        self._teller = Teller(QUIET_NS, every=setup.every)
        self._backoff = Backoff(0.1, 1.0, life.rng)
        self._commands: deque[Command] = deque()
        self._beat: tuple[int, bool] | None = None
        self._safe_asked = False
        self._up: bool | None = None
        self._busy = True
        self._poll_due_ns = 0
        self._ready_written: bool | None = None
        self._outputs = Outputs(line, setup.pulse_ms, handshake=setup.mode == "handshake")
        self._woken_ns = -1
        self._values: dict[str, float | int | bool | str] = {}

    def start(self, t_ns: int) -> None:
        self._open(None, t_ns)

    def apply(self, command: Command, t_ns: int) -> None:
        if len(self._commands) >= COMMAND_LIMIT:
            self._refuse(command, "CMD_QUEUE_FULL", f"{COMMAND_LIMIT} commands wait already", t_ns)
            return
        self._commands.append(command)
        if self._up:
            self._next(t_ns)
        else:
            self._life.later(self._life.true(command.deadline_ns) + 1, self._drop_late, None)

    def beat(self, value: int, *, ready: bool, t_ns: int) -> None:
        if self._up:
            self._beat = (value, ready)
            self._next(t_ns)

    def make_safe(self, t_ns: int) -> None:
        self._safe_asked = True
        self._next(t_ns)

    # --- the connection

    def _open(self, _: object, t_ns: int) -> None:
        """Connect, and read once: a PLC that is there but does not answer is not up."""
        self._busy = True
        self._ready_written = None
        self._teller.forget()
        self._request(_Job(self._sample, self._opened), t_ns)

    def _opened(self, t_ns: int) -> None:
        self._backoff.reset()
        if not self._up:
            self._up = True
            self._life.handle(DeviceChanged(self._setup.name, up=True), t_ns)
        self._poll_due_ns = t_ns
        self._take(self._reading(t_ns), t_ns)
        self._free(t_ns)

    def _down(self, code: str, what: str, t_ns: int) -> None:
        self._busy = True
        self._beat = None
        if self._up is not False:
            self._up = False
            self._life.handle(DeviceChanged(self._setup.name, up=False, code=code, what=what), t_ns)
        for command in self._commands:
            self._life.later(self._life.true(command.deadline_ns) + 1, self._drop_late, None)
        self._life.later(t_ns + int(self._backoff.next_s() * 1000 * MS), self._open, None)

    def _drop_late(self, _: object, t_ns: int) -> None:
        now_ns = self._life.mono(t_ns)
        late = [command for command in self._commands if command.deadline_ns < now_ns]
        self._commands = deque(command for command in self._commands if command.deadline_ns >= now_ns)
        for command in late:
            self._refuse(command, "CMD_LATE", f"past its deadline, {self._setup.name} is out of reach", t_ns)

    # --- one thing at a time

    def _request(self, job: _Job, t_ns: int) -> None:
        self._busy = True
        health = self._line.plc_health
        half_ns = int(self._spec.trip_ms * MS / 2)
        if health == "gone":
            self._life.later(t_ns + half_ns, self._failed, (job, "PLC_LOST", "the PLC refuses connections"))
        else:
            self._life.later(t_ns + half_ns, self._at_plc, job)

    def _at_plc(self, job: _Job, t_ns: int) -> None:
        health = self._line.plc_health
        half_ns = int(self._spec.trip_ms * MS / 2)
        if health == "ok":
            job.write()
            self._life.later(t_ns + half_ns, self._answered, job)
        elif health == "gone":
            self._life.later(t_ns + half_ns, self._failed, (job, "PLC_LOST", "the PLC closed the connection"))
        else:
            wait_ns = int(self._spec.timeout_ms * MS)
            self._life.later(t_ns + wait_ns, self._failed, (job, "PLC_TIMEOUT", "the PLC gave no answer in time"))

    def _answered(self, job: _Job, t_ns: int) -> None:
        job.done(t_ns)

    def _failed(self, failure: tuple[_Job, str, str], t_ns: int) -> None:
        job, code, what = failure
        if job.failed is not None:
            job.failed(code, what, t_ns)
        self._down(code, what, t_ns)

    def _free(self, t_ns: int) -> None:
        self._busy = False
        self._next(t_ns)

    def _next(self, t_ns: int) -> None:
        """The most urgent thing, if the bus is free."""
        if self._busy:
            return
        if self._safe_asked:
            self._make_safe(t_ns)
        elif self._commands:
            self._carry_out(self._commands.popleft(), t_ns)
        elif self._beat is not None:
            (value, ready), self._beat = self._beat, None
            self._write_beat(value, ready=ready, t_ns=t_ns)
        elif t_ns >= self._poll_due_ns:
            period_ns = int(self._setup.poll_ms * MS)
            self._poll_due_ns += period_ns * ((t_ns - self._poll_due_ns) // period_ns + 1)
            self._outputs.end_pulse(t_ns)
            self._request(_Job(self._sample, self._polled), t_ns)
        elif self._woken_ns != self._poll_due_ns:
            self._woken_ns = self._poll_due_ns
            self._life.later(self._poll_due_ns, self._wake, None)

    def _wake(self, _: object, t_ns: int) -> None:
        if self._up and t_ns >= self._poll_due_ns:
            self._next(t_ns)

    # --- polls

    def _polled(self, t_ns: int) -> None:
        self._take(self._reading(t_ns), t_ns)
        self._free(t_ns)

    def _take(self, reading: Reading, t_ns: int) -> None:
        if self._teller.take(reading):
            self._life.handle(Polled(reading), t_ns)

    def _sample(self) -> None:
        """The registers as they are when the request is there."""
        regs = self._line.line.regs
        if self._setup.mode == "handshake":
            self._values = decode_status(status_words(regs))
        else:
            self._values = {"trigger": regs.trigger, **({"encoder": regs.encoder} if self._setup.encoder else {})}

    def _reading(self, t_ns: int) -> Reading:
        """Its time is when the request left, so that the values are never older."""
        return Reading(self._setup.name, self._life.mono(t_ns - int(self._spec.trip_ms * MS)), self._values)

    # --- writes

    def _write_beat(self, value: int, *, ready: bool, t_ns: int) -> None:
        self._outputs.end_pulse(t_ns)
        if self._setup.mode == "coil":
            self._free(t_ns)
            return
        regs = self._line.line.regs

        def write() -> None:
            regs.heartbeat_agent = value % U16
            if self._ready_written is not ready:
                self._ready_written = ready
                regs.agent_ready = int(ready)

        self._request(_Job(write, self._free), t_ns)

    def _carry_out(self, command: Command, t_ns: int) -> None:
        self._outputs.end_pulse(t_ns)
        late_ns = self._life.mono(t_ns) - command.deadline_ns
        write = self._outputs.writer(command)
        if late_ns > 0 or write is None:
            code = "CMD_LATE" if late_ns > 0 else "CMD_UNKNOWN"
            self._refuse(command, code, f"{late_ns / MS:.1f} ms after its deadline" if late_ns > 0 else "", t_ns)
            self._next(t_ns)
            return

        def done(at_ns: int) -> None:
            applied = Applied(command.command_id, command.device, ok=True, at_ns=self._life.mono(at_ns))
            self._life.handle(applied, at_ns)
            self._free(at_ns)

        def failed(code: str, what: str, at_ns: int) -> None:
            self._refuse(command, code, what, at_ns)

        self._request(_Job(write, done, failed), t_ns)

    def _make_safe(self, t_ns: int) -> None:
        self._safe_asked, self._beat = False, None
        commands, self._commands = self._commands, deque()
        for command in commands:
            self._refuse(command, "CMD_DROPPED", f"{self._setup.name} is made safe", t_ns)
        regs = self._line.line.regs

        def write() -> None:
            self._line.write_coil(value=False)
            regs.agent_ready = 0
            self._ready_written = None

        self._request(_Job(write, self._free), t_ns)

    def _refuse(self, command: Command, code: str, what: str, t_ns: int) -> None:
        at_ns = self._life.mono(t_ns)
        self._life.handle(
            Applied(command.command_id, command.device, ok=False, at_ns=at_ns, code=code, what=what), t_ns
        )
