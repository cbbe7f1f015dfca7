"""A machine with one agent on it: what outlives a process, and the service manager that starts it again."""

from __future__ import annotations

from edge.core.settings import Settings
from edge.errors import Exit
from edge.events import StopAsked
from sims.virtual.agent import AgentProcess
from sims.virtual.clock import NodeClock
from sims.virtual.kernel import MS, Kernel
from sims.virtual.rooms import Host, Plan
from sims.virtual.storage import Disk
from sims.virtual.wire import Net

RESTART_NS = 1000 * MS
"""The service manager starts a process that ended by itself so much later (``RestartSec``)."""


class AgentMachine:
    """Events are addressed to the life of the moment, so that none outlives it."""

    __slots__ = ("_stopped", "disk", "host", "journal", "kernel", "left", "name", "process", "starts")

    def __init__(
        self,
        kernel: Kernel,
        net: Net,
        settings: Settings,
        plan: Plan,
        clock: NodeClock | None = None,
        *,
        hardware: str = "",
    ) -> None:
        """``hardware`` tells machines apart that were given the same agent id by mistake."""
        self.kernel, self.name = kernel, settings.agent
        rng = kernel.rng(f"agent/{settings.site}/{self.name}{hardware}")
        self.journal = plan.journal(f"{rng.getrandbits(64):016x}", plan.journal_bytes)
        self.disk = Disk(plan.disk, rng)
        self.host = Host(kernel, net, settings, plan, clock or NodeClock(), rng, self.journal, self.disk, self._over)
        self.process: AgentProcess | None = None
        self.starts = 0
        self._stopped = False
        self.left: list[tuple[int, int, str]] = []
        """(t_ns, status, why) of every life that ended by itself."""

    def start(self, t_ns: int) -> None:
        """Start the process; nothing when one runs."""
        if self.process is None:
            self.starts += 1
            self.process = AgentProcess(self.host, t_ns)

    def take(self, _event: object, t_ns: int) -> None:
        """The service manager's turn."""
        if not self._stopped:
            self.start(t_ns)

    def kill(self) -> None:
        """``kill -9``: the sockets close, what was not committed is gone."""
        self._end(silently=False)

    def power_cut(self, t_ns: int) -> None:
        """Nobody says goodbye, and monotonic time will begin anew."""
        self._end(silently=True)
        self.host.clock.reboot(t_ns)

    def stop(self, why: str) -> None:
        """Ask for an orderly stop; it is not started again."""
        self._stopped = True
        if self.process is not None:
            self.kernel.post(self.kernel.now_ns, self.process, StopAsked(why))

    def step_clock(self, by_ns: int) -> None:
        """Somebody sets this machine's clock."""
        self.host.clock.step(by_ns)
        if self.process is not None:
            self.process.notice_clock(self.kernel.now_ns)

    def _end(self, *, silently: bool) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.end(silently=silently)
        self.journal.lose_power()

    def _over(self, t_ns: int, status: int, why: str) -> None:
        self.process = None
        self.journal.flush()
        self.left.append((t_ns, status, why))
        if status != Exit.OK and not self._stopped:
            self.kernel.post(t_ns + RESTART_NS, self, None)
