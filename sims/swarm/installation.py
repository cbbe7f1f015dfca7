"""What the swarm is let loose on: a broker and a coordinator of our own, or ones that are there."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from edge.cli.http_client import Client
from edge.errors import JidokaError
from edge.shell.broker import Broker
from edge.shell.endpoint import Endpoint
from sims.live_process import Daemon
from sims.live_watch import answers, free_port, pause, wait_for

READY_S = 60.0
GOODBYES_S = 20.0


class Installation:
    """As a context. ``own_broker`` is a kind to start, or empty for the one at ``endpoint``; ``api`` is the address of a
    coordinator that is there, empty for none. Raises LinkError, DeviceError.
    """

    def __init__(
        self,
        folder: Path,
        site: str,
        own_broker: str,
        endpoint: Endpoint | None,
        password_file: Path | None,
        *,
        own_coordinator: bool,
        api: str,
    ) -> None:
        self.api = api
        self.broker_name = ""
        self.pids: dict[str, list[int]] = {}
        self._folder = folder
        self._site = site
        self._own_broker = own_broker
        self._own_coordinator = own_coordinator
        self._endpoint = endpoint
        self._password_file = password_file
        self._stack = ExitStack()

    @property
    def endpoint(self) -> Endpoint:
        """Where the broker is."""
        assert self._endpoint is not None
        return self._endpoint

    def __enter__(self) -> Self:
        try:
            self._start_broker()
            if self._own_coordinator:
                self._start_coordinator()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def client(self) -> Client | None:
        """The coordinator's reading side; None where there is none to ask."""
        return Client(self.api, 60.0) if self.api else None

    def stopped(self, most: int) -> int:
        """How many of the site's agents the coordinator knows as stopped, once it has read ``most`` goodbyes or goes silent."""
        client, before, end = self.client(), -1, time.monotonic() + GOODBYES_S
        if client is None:
            return most
        try:
            while True:
                known: int = sum(agent["status"] == "stopped" for agent in client.get("/v1/fleet")["agents"])
                if known >= most or time.monotonic() > end or known == before:
                    return known
                before = known
                pause(1.0)
        except JidokaError:
            return max(before, 0)
        finally:
            client.close()

    def _start_broker(self) -> None:
        if not self._own_broker:
            self.broker_name = str(self.endpoint)
            return
        broker = self._stack.enter_context(Broker(self._own_broker))  # type: ignore[arg-type]
        self._endpoint = Endpoint(broker.host, broker.port)
        self.broker_name = broker.kind
        self.pids["broker"] = [broker.pid] if broker.pid else []

    def _start_coordinator(self) -> None:
        endpoint, port = self.endpoint, free_port()
        args = ["coordinator", "--broker", str(endpoint), "--site", self._site, "--http", f"127.0.0.1:{port}"]
        args += ["--data", str(self._folder / "coordinator")]
        if endpoint.tls is not None:
            args += ["--tls-ca", str(endpoint.tls.ca)]
            args += (
                ["--tls-cert", str(endpoint.tls.cert), "--tls-key", str(endpoint.tls.key)] if endpoint.tls.cert else []
            )
        args += ["--username", endpoint.username] if endpoint.username else []
        args += ["--password-file", str(self._password_file)] if self._password_file else []
        daemon = Daemon("coordinator", args, self._folder / "coordinator.log", self._folder)
        self._stack.callback(daemon.stop)
        daemon.start()
        self.api = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(f"{self.api}/healthz"), daemon, READY_S, "the coordinator is not ready")
        self.pids["coordinator"] = [daemon.pid] if daemon.pid else []
