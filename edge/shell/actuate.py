"""Threads ``actuate-<device>``: one owns one PLC or other actuator, and nobody else talks to it.

::

    apply(), beat(), make_safe() ──▶ pending ──(woken at once)──▶ bus:  safe > commands > beat > poll
                                                                        every poll_ms, on an absolute schedule

    closed ──open, first read──▶ up          DeviceChanged(up=True) once, then a Polled whatever it says
       ▲                          │ DeviceError
       └──── back-off ◀── down ◀──┘          DeviceChanged(up=False) once; commands wait for their deadline, then
                                             Applied(ok=False)
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from edge.core.backoff import Backoff
from edge.core.polling import Teller
from edge.domain import Applied, Command
from edge.errors import DeviceError
from edge.events import AgentEvent, DeviceChanged, Polled
from edge.ports import Actuator, Plc
from edge.shell.pace import NS_PER_S, Pace
from edge.shell.worker import OnCrash, Worker

COMMAND_LIMIT = 64
NS_PER_MS = 1e6


class ActuateThread(Worker):
    """One device. ``poll_ms`` 0, or an actuator that cannot be read, is never polled.

    A Polled is posted as :class:`edge.core.polling.Teller` says: when a value changed, when ``quiet_s`` went by (so that
    a dead heartbeat is seen), always after reopening, and with ``every_poll`` every time. Counters since boot: ``applied``, ``late``
    (dropped at their deadline), ``refused``, ``polls``, ``reopened``.
    """

    def __init__(
        self,
        name: str,
        device: Plc | Actuator,
        post: Callable[[AgentEvent], None],
        on_crash: OnCrash,
        backoff: Backoff,
        *,
        poll_ms: float = 0.0,
        timeout_s: float = 0.5,
        every_poll: bool = False,
        quiet_s: float = 0.1,
    ) -> None:
        super().__init__(f"actuate-{name}", on_crash)
        self._name = name
        self._device = device
        self._plc = device if isinstance(device, Plc) else None
        self._post = post
        self._backoff = backoff
        self._pace = Pace(poll_ms / 1000)
        self._polls = self._plc is not None and poll_ms > 0
        self._timeout_s = timeout_s
        self._teller = Teller(int(quiet_s * NS_PER_S), every=every_poll)
        self._commands: deque[Command] = deque()
        self._beat: tuple[int, bool] | None = None
        self._safe_asked = False
        self._up: bool | None = None
        self.applied = self.late = self.refused = self.polls = self.reopened = 0

    @property
    def up(self) -> bool:
        return self._up is True

    @property
    def late_polls(self) -> int:
        """Polls whose turn went by because the bus was busy."""
        return self._pace.missed

    def apply(self, command: Command) -> None:
        """Carry out before its deadline, or say Applied(ok=False). From any thread; never blocks."""
        with self.wake:
            full = len(self._commands) >= COMMAND_LIMIT
            if not full:
                self._commands.append(command)
                self.wake.notify_all()
        if full:
            self._refuse(command, "CMD_QUEUE_FULL", f"{COMMAND_LIMIT} commands wait for {self._name} already")

    def beat(self, value: int, *, ready: bool) -> None:
        """Write our heartbeat as soon as the bus is free; an older one still waiting is replaced."""
        with self.wake:
            self._beat = (value, ready)
            self.wake.notify_all()

    def make_safe(self) -> None:
        """Safe state next of all; commands that wait are refused."""
        with self.wake:
            self._safe_asked = True
            self.wake.notify_all()

    def work(self) -> None:
        try:
            while not self.stopping:
                try:
                    self._open()
                    while self._wait():
                        self._turn()
                except DeviceError as error:
                    self._down(error)
        finally:
            # Also when something unexpected ends this thread: nothing may stay switched on.
            self._device.safe()
            self._device.close()
            self._refuse_all("CMD_STOPPED", f"{self._name} was stopped")

    def _open(self) -> None:
        self._device.open()
        self._teller.forget()
        reading = self._plc.read(self._timeout_s) if self._polls and self._plc else None
        self._backoff.reset()
        if not self._up:
            self.reopened += self._up is False
            self._up = True
            self._post(DeviceChanged(self._name, up=True))
        if reading is not None and self._teller.take(reading):
            self._post(Polled(reading))

    def _wait(self) -> bool:
        """Until there is something to do; False when stopping."""
        with self.wake:
            while not (self.stopping or self._commands or self._beat or self._safe_asked):
                if not self._polls:
                    self.wake.wait()
                    continue
                wait_ns = self._pace.wait_ns(time.monotonic_ns())
                if not wait_ns:
                    break
                self.wake.wait(wait_ns / NS_PER_S)
            return not self.stopping

    def _turn(self) -> None:
        """The most urgent thing, once. Raises DeviceError."""
        with self.wake:
            safe, self._safe_asked = self._safe_asked, False
            command = self._commands.popleft() if self._commands and not safe else None
            beat = None
            if not safe and command is None:
                beat, self._beat = self._beat, None
            if safe:
                self._beat = None  # it would say that we are ready
        if safe:
            self._make_safe()
        elif command is not None:
            self._carry_out(command)
        elif beat is not None and self._plc is not None:
            self._plc.beat(beat[0], ready=beat[1])
        if self._polls and self._pace.take(time.monotonic_ns()):
            self._poll()

    def _carry_out(self, command: Command) -> None:
        now_ns = time.monotonic_ns()
        if now_ns > command.deadline_ns:
            self._drop_late(command, now_ns)
            return
        try:
            answer = self._device.apply(command)
        except DeviceError as error:
            # Whether it moved is not known; the core may look at the PLC's acknowledgement and decide.
            self._refuse(command, error.code, str(error))
            raise
        if answer.ok:
            self.applied += 1
        elif answer.code == "CMD_LATE":
            self.late += 1
        else:
            self.refused += 1
        self._post(answer)

    def _poll(self) -> None:
        assert self._plc is not None
        reading = self._plc.read(self._timeout_s)
        self.polls += 1
        if self._teller.take(reading):
            self._post(Polled(reading))

    def _make_safe(self) -> None:
        self._refuse_all("CMD_DROPPED", f"{self._name} is made safe")
        self._device.safe()

    def _down(self, error: DeviceError) -> None:
        """Close, say so once, and wait for the next try."""
        self._device.close()
        if self._up is not False:
            self._up = False
            self._post(DeviceChanged(self._name, up=False, code=error.code, what=str(error)))
        until_ns = time.monotonic_ns() + int(self._backoff.next_s() * NS_PER_S)
        while not self.stopping and (now_ns := time.monotonic_ns()) < until_ns:
            with self.wake:
                next_ns = min([until_ns, *(command.deadline_ns for command in self._commands)])
                if next_ns > now_ns and not self._safe_asked:
                    self.wake.wait((next_ns - now_ns) / NS_PER_S)
                self._beat = None  # what we could say before is stale when the device is back
                safe, self._safe_asked = self._safe_asked, False
            if safe:
                self._make_safe()
            self._drop_all_late()

    def _drop_all_late(self) -> None:
        now_ns = time.monotonic_ns()
        with self.wake:
            late = [command for command in self._commands if command.deadline_ns <= now_ns]
            self._commands = deque(command for command in self._commands if command.deadline_ns > now_ns)
        for command in late:
            self._drop_late(command, now_ns)

    def _drop_late(self, command: Command, now_ns: int) -> None:
        self.late += 1
        late_ms = (now_ns - command.deadline_ns) / NS_PER_MS
        where = "" if self._up else f", {self._name} is out of reach"
        self._say_no(command, "CMD_LATE", f"{late_ms:.1f} ms after its deadline{where}")

    def _refuse_all(self, code: str, what: str) -> None:
        with self.wake:
            commands, self._commands = self._commands, deque()
        for command in commands:
            self._refuse(command, code, what)

    def _refuse(self, command: Command, code: str, what: str) -> None:
        self.refused += 1
        self._say_no(command, code, what)

    def _say_no(self, command: Command, code: str, what: str) -> None:
        self._post(
            Applied(command.command_id, command.device, ok=False, at_ns=time.monotonic_ns(), code=code, what=what)
        )
