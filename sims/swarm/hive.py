"""A worker's loop: one thread, one selector, one heap of timers, for some thousand cells.

::

    heap (start, part, tick) ──▶ cell.turn ──▶ link.flush ──▶ selector.select ──▶ link.ready ──▶ cell.turn …
    pipe from the boss ── Step, Tell, Part ──▶  ◀── Progress, Told, Parted ──  (its end: everybody leaves)
"""

from __future__ import annotations

import gc
import heapq
import random
import selectors
import socket
import time
from array import array
from collections import Counter, deque
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

import paho.mqtt.client as paho

from edge.events import AgentEvent, ClockSet, Log
from edge.shell.clock import utc_offset_ns
from edge.shell.endpoint import tls_context
from sims.swarm.cell import Cell, S
from sims.swarm.link import Dialler, SwarmLink
from sims.swarm.plan import Order, Part, Parted, Plan, Progress, Step, Tell, Told, Word

START: Final = 0
PART: Final = 1
TICK: Final = 2
MOST_WAIT_S: Final = 0.1
MISC_EVERY_NS: Final = S // 20
MISC_SHARE: Final = 20
PROGRESS_NS: Final = S // 2
PART_S: Final = 10.0
ERRORS_KEPT: Final = 5


class Hive:
    """The cells ``numbers`` of a plan."""

    def __init__(self, plan: Plan, numbers: range, boss: Connection) -> None:
        """Raises ConfigError, StoreError."""
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self.clock = ClockSet(utc_offset_ns(), trusted=True)
        self._plan = plan
        self._boss = boss
        self._context = tls_context(plan.endpoint.tls) if plan.endpoint.tls else None
        self._stirred: deque[Cell] = deque()
        self._writers: list[SwarmLink] = []
        self._settlers: list[SwarmLink] = []
        self._timers: list[tuple[int, int, int, Cell]] = []
        self._timer_no = 0
        self._far: deque[tuple[Cell, AgentEvent]] = deque()
        self._dialled: deque[tuple[SwarmLink, paho.Client, Exception | None]] = deque()
        self._near, self._bell = socket.socketpair()
        self._near.setblocking(False)
        self._bell.setblocking(False)
        self._dialler = Dialler(self._on_dialled)
        self._step = Step(1.0, 0, 0, 0)
        self._behind_ms = array("f")
        self._results_before = 0
        self._said: Counter[str] = Counter()
        self._errors: dict[str, str] = {}
        self._crash: Exception | None = None
        self._misc_ns = self._progress_ns = self._misc_turn = 0
        self._part_by_ns = 0
        self._over = False
        self.cells = [Cell(plan, number, self) for number in numbers]
        self.selector.register(self._near, selectors.EVENT_READ, self._drain)
        self.selector.register(boss, selectors.EVENT_READ, self._hear)

    # ---- what cells and links ask for

    def link_of(self, cell: Cell, name: str) -> SwarmLink:
        plan = self._plan
        return SwarmLink(self, plan.endpoint, plan.site, name, cell.post, cell.conn_no, context=self._context)

    def stir(self, cell: Cell) -> None:
        if not cell.stirred:
            cell.stirred = True
            self._stirred.append(cell)

    def hand_over(self, cell: Cell, event: AgentEvent) -> None:
        self._far.append((cell, event))
        self._ring()

    def dial(self, link: SwarmLink, client: paho.Client) -> None:
        self._dialler.dial(link, client)

    def write_soon(self, link: SwarmLink) -> None:
        self._writers.append(link)

    def settle_soon(self, link: SwarmLink) -> None:
        self._settlers.append(link)

    def crashed(self, error: Exception) -> None:
        self._crash = self._crash or error

    def tell(self, cell: Cell, line: Log) -> None:
        self._said[line.code] += 1
        if line.level in {"warning", "error"} and line.code not in self._errors and len(self._errors) < ERRORS_KEPT:
            self._errors[line.code] = f"{cell.name}: {line.code}: {line.text}"

    # ---- the loop

    def run(self) -> None:
        """Until everybody has left. An exception of a core is our bug, and ends it."""
        self._start()
        while not self._over:
            self._due(time.monotonic_ns())
            self._turns()
            self._end_turn()
            next_ns = self._timers[0][0] if self._timers else 0
            wait_s = (next_ns - time.monotonic_ns()) / S if next_ns else MOST_WAIT_S
            for key, mask in self.selector.select(max(0.0, min(wait_s, MOST_WAIT_S))):
                key.data(mask)
            self._turns()
            self._end_turn()
            self._housekeeping(time.monotonic_ns())
            if self._crash is not None:
                raise self._crash
        self._say(Parted(sum(cell.left for cell in self.cells)))

    def close(self) -> None:
        """Let go of everything."""
        for cell in self.cells:
            cell.close()
        self._dialler.close()
        self.selector.close()
        self._near.close()
        self._bell.close()

    def _start(self) -> None:
        plan, now_ns = self._plan, time.monotonic_ns()
        spread_ns = int(plan.agents / plan.connects_per_s * S) if plan.connects_per_s else 0
        rng = random.Random(f"{plan.seed}/start/{self.cells[0].number}")
        for cell in self.cells:
            self._set(now_ns + (rng.randrange(spread_ns) if spread_ns else 0), START, cell)

    def _set(self, at_ns: int, what: int, cell: Cell) -> None:
        self._timer_no += 1
        heapq.heappush(self._timers, (at_ns, self._timer_no, what, cell))

    def _due(self, now_ns: int) -> None:
        timers = self._timers
        while timers and timers[0][0] <= now_ns:
            at_ns, _, what, cell = heapq.heappop(timers)
            if what == TICK:
                if at_ns == cell.wake_ns:
                    cell.wake_ns = 0
                    self.stir(cell)
            elif what == PART:
                self._part(cell, at_ns)
            else:
                cell.start(now_ns)

    def _part(self, cell: Cell, at_ns: int) -> None:
        """A part is due. The next one is counted from when it should have come, so that a slow swarm shows."""
        step = self._step
        if at_ns != cell.due_ns or at_ns >= step.end_ns or self._part_by_ns:
            return
        now_ns = time.monotonic_ns()
        self._behind_ms.append((now_ns - at_ns) / 1e6)
        cell.produce(now_ns)
        cell.due_ns = at_ns + int(S / step.rate)
        self._set(cell.due_ns, PART, cell)

    def _turns(self) -> None:
        stirred = self._stirred
        while stirred:
            cell = stirred.popleft()
            cell.stirred = False
            cell.turn(time.monotonic_ns())
            if cell.left:
                continue
            deadline_ns = cell.core.deadline_ns()
            if not cell.wake_ns or deadline_ns < cell.wake_ns:
                cell.wake_ns = deadline_ns
                self._set(deadline_ns, TICK, cell)

    def _end_turn(self) -> None:
        writers, self._writers = self._writers, []
        for link in writers:
            link.flush()
        if self._settlers:
            settlers, self._settlers = self._settlers, []
            now_s = time.monotonic()
            for link in settlers:
                link.settle(now_s)

    def _housekeeping(self, now_ns: int) -> None:
        if now_ns >= self._misc_ns:
            self._misc_ns = now_ns + MISC_EVERY_NS
            self._misc_turn = (self._misc_turn + 1) % MISC_SHARE
            now_s = now_ns / S
            for cell in self.cells[self._misc_turn :: MISC_SHARE]:
                cell.link.misc(now_s)
                cell.link.settle(now_s)
        if now_ns >= self._progress_ns:
            self._progress_ns = now_ns + PROGRESS_NS
            self._say(self._progress())
        if self._part_by_ns and (now_ns > self._part_by_ns or all(c.left and c.link.gone for c in self.cells)):
            self._over = True

    # ---- other threads

    def _on_dialled(self, link: SwarmLink, client: paho.Client, error: Exception | None) -> None:
        self._dialled.append((link, client, error))
        self._ring()

    def _ring(self) -> None:
        with suppress(OSError):  # full: it is awake already
            self._bell.send(b"!")

    def _drain(self, _mask: int) -> None:
        with suppress(BlockingIOError):
            while self._near.recv(4096):
                pass
        while self._far:
            cell, event = self._far.popleft()
            cell.post(event)
        while self._dialled:
            link, client, error = self._dialled.popleft()
            link.dialled(client, error)

    # ---- the boss

    def _hear(self, _mask: int) -> None:
        try:
            order: Order = self._boss.recv()
        except (EOFError, OSError):
            self.selector.unregister(self._boss)
            order = Part()
        match order:
            case Step():
                self._begin(order)
            case Tell():
                self._say(self._told())
            case Part():
                self._leave()

    def _begin(self, step: Step) -> None:
        # The cells live as long as the process: walking through all of them again and again cost half a second at a time.
        gc.collect()
        gc.freeze()
        self._step = step
        self._behind_ms = array("f")
        self._results_before = sum(cell.results for cell in self.cells)
        every_ns = int(S / step.rate)
        rng = random.Random(f"{self._plan.seed}/phase/{self.cells[0].number}")
        for cell in self.cells:
            cell.lag_ms = array("f")
            cell.due_ns = step.start_ns + rng.randrange(every_ns)
            if cell.number <= step.active:
                self._set(cell.due_ns, PART, cell)

    def _progress(self) -> Progress:
        online = sum(cell.link.up for cell in self.cells)
        return Progress(online, sum(c.results for c in self.cells), sum(c.backlog() for c in self.cells))

    def _told(self) -> Told:
        lag_ms, now_ns = array("f"), time.monotonic_ns()
        counters: Counter[str] = Counter()
        for cell in self.cells:
            lag_ms.extend(cell.lag_ms)
            lag_ms.extend(cell.overdue_ms(now_ns))
            counters.update(cell.core.scribe.counters)
        results = sum(cell.results for cell in self.cells) - self._results_before
        stands = tuple(cell.stand() for cell in self.cells)
        errors = tuple(self._errors.values())
        return Told(lag_ms.tobytes(), self._behind_ms.tobytes(), results, stands, dict(counters), errors)

    def _leave(self) -> None:
        if not self._part_by_ns:
            self._part_by_ns = time.monotonic_ns() + int(PART_S * S)
            for cell in self.cells:
                cell.stop()

    def _say(self, word: Word) -> None:
        with suppress(OSError):  # the boss is gone, of which we hear
            self._boss.send(word)
