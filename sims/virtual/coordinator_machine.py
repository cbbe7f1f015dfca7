"""A machine with a coordinator on it, and the service manager that starts it again."""

from __future__ import annotations

from edge.events_fleet import FleetEvent, StopWanted
from sims.memory_ledger import MemoryLedger
from sims.virtual.clock import NodeClock
from sims.virtual.coordinator import CoordinatorProcess
from sims.virtual.kernel import MS, Kernel
from sims.virtual.site import LeaseRow, LedgerSpec, SiteHost
from sims.virtual.wire import Net


class CoordinatorMachine:
    """``host`` is what outlives a process; several machines may share a ledger and a lease."""

    def __init__(
        self,
        kernel: Kernel,
        net: Net,
        site: str,
        ledger: MemoryLedger,
        *,
        spec: LedgerSpec | None = None,
        lease: LeaseRow | None = None,
        name: str = "coordinator-a",
        clock: NodeClock | None = None,
    ) -> None:
        rng = kernel.rng(f"coordinator/{site}/{name}")
        self.host = SiteHost(
            kernel,
            net,
            site,
            name,
            ledger,
            spec or LedgerSpec(),
            lease or LeaseRow(),
            clock or NodeClock(),
            rng,
            self._over,
        )
        self.process: CoordinatorProcess | None = None
        self.starts = 0
        self.left: list[tuple[int, str, str]] = []
        """(t_ns, code, what) of every life that ended by itself."""

    def start(self, t_ns: int) -> None:
        """Start the process; nothing when one runs. It stands by while another holds the lease."""
        if self.process is None:
            self.starts += 1
            self.process = CoordinatorProcess(self.host, f"{self.host.name}/{self.starts}", t_ns)

    def take(self, _event: object, t_ns: int) -> None:
        """The service manager's turn."""
        self.start(t_ns)

    def kill(self) -> None:
        """``kill -9``. A successor on this machine sees that the holder is dead; one elsewhere waits for the lease to run out."""
        process, self.process = self.process, None
        if process is not None:
            process.end()

    def post(self, event: FleetEvent) -> None:
        """What HTTP would bring: somebody's wish. Answers gather in ``host.answers``."""
        if self.process is not None:
            self.host.kernel.post(self.host.kernel.now_ns, self.process, event)

    def stop(self, why: str) -> None:
        """Ask for an orderly end; it is not started again."""
        self.post(StopWanted(why))

    def _over(self, t_ns: int, code: str, what: str) -> None:
        self.process = None
        self.left.append((t_ns, code, what))
        if code:
            self.host.kernel.post(t_ns + 1000 * MS, self, None)
