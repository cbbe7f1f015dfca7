"""Somebody at the coordinator who asks agents things and changes their settings, while the swarm runs."""

from __future__ import annotations

import random
import threading
import time
from array import array

from edge.cli.http_client import Client
from edge.errors import JidokaError
from sims.live_watch import pause
from sims.swarm.figures import Asked, spread
from sims.swarm.plan import SETTING, Plan

APPLIED_S = 5.0


class Desk:
    """A thread that asks one agent after the other, through the HTTP API, ``per_s`` times a second; every fourth time it
    changes a setting instead.
    """

    def __init__(self, url: str, plan: Plan, per_s: float) -> None:
        self._url = url
        self._plan = plan
        self._per_s = per_s
        self._rng = random.Random(f"{plan.seed}/desk")
        self._ask_ms = array("f")
        self._asks = self._settings = self._failed = 0
        self._changed: set[str] = set()
        self._error = ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._per_s > 0:
            self._thread.start()

    def finish(self) -> Asked:
        """End, and say what came back. Settings count as applied when the agent said so."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(30.0)
        applied = self._applied() if self._changed else 0
        waited = spread(self._ask_ms)
        return Asked(self._asks, waited.n, waited, len(self._changed), applied, self._failed, self._error)

    def _run(self) -> None:
        client, turn = Client(self._url), 0
        while not self._ending.wait(1.0 / self._per_s):
            turn += 1
            agent = self._plan.name(self._rng.randint(1, self._plan.agents))
            try:
                self._change(client, agent) if turn % 4 == 0 else self._ask(client, agent)
            except JidokaError as error:
                self._failed += 1
                self._error = self._error or f"{agent}: {error}"
                client.close()
        client.close()

    def _ask(self, client: Client, agent: str) -> None:
        self._asks += 1
        began = time.monotonic()
        answer = client.send("POST", f"/v1/fleet/{agent}/asks", {"op": "ping", "ttl_s": 5.0})
        if answer.get("ok"):
            self._ask_ms.append((time.monotonic() - began) * 1000)

    def _change(self, client: Client, agent: str) -> None:
        value = round(self._rng.uniform(0.3, 0.6), 3)
        client.send("PATCH", f"/v1/fleet/{agent}/settings", {"settings": {SETTING: value}})
        self._changed.add(agent)

    def _applied(self) -> int:
        """How many run with what was wanted of them, once all do or ``APPLIED_S`` are over."""
        client, waiting, end = Client(self._url), set(self._changed), time.monotonic() + APPLIED_S
        try:
            while waiting and time.monotonic() < end:
                waiting = {agent for agent in waiting if client.get(f"/v1/fleet/{agent}")["settings"] != "applied"}
                if waiting:
                    pause(0.2)
        except JidokaError as error:
            self._error = self._error or str(error)
        finally:
            client.close()
        return len(self._changed) - len(waiting)
