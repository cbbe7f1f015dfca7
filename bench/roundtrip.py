"""Ask to reply through Mosquitto on loopback: the real daemon's core, outbox, journal (each id durable) and link.

An ask is answered only after its id is durable, so an fsync is in every round trip.

Usage: python bench/roundtrip.py [--json] [--asks 300]
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.messages import Ask, Reply
from edge.shell.broker import Broker
from edge.shell.endpoint import no_delay
from edge.topics import decode, encode, topic

LIMIT_MS = 3.0
SETTINGS = """
[agent]
id = "bench"
site = "hall"
[sources.camera]
driver = "opencv"
max_fps = 1.0
[sources.camera.options]
source = "pictures"
loop = true
rate_hz = 1.0
[model]
path = "models/dark-spots"
[link]
port = {port}
[page]
enabled = false
"""


def measure(port: int, asks: int) -> list[float]:
    """Milliseconds from publish to the decoded reply, one ask at a time."""
    replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
    ready = threading.Event()

    def heard(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic.endswith("/reply"):
            replies.put(decode("reply", bytes(message.payload)))  # type: ignore[arg-type]
        elif b'"ready":true' in message.payload:
            ready.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-plant", protocol=MQTTProtocolVersion.MQTTv5)
    client.on_socket_open = no_delay
    client.on_message = heard
    client.on_connect = lambda c, *_: c.subscribe([(topic("hall", "bench", kind), 1) for kind in ("reply", "state")])
    client.connect("127.0.0.1", port)
    client.loop_start()
    if not ready.wait(30):
        raise SystemExit("the agent was not ready within 30 s")
    taken = []
    for n in range(asks):
        began = time.perf_counter()
        client.publish(topic("hall", "bench", "ask"), encode("ask", Ask(f"ask-{n}", "bench", "ping")), qos=1)
        replies.get(timeout=10)
        taken.append((time.perf_counter() - began) * 1e3)
    client.disconnect()
    client.loop_stop()
    return sorted(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--asks", type=int, default=300)
    args = parser.parse_args()
    jidoka = [sys.executable, "-m", "edge.cli.main"]
    with tempfile.TemporaryDirectory() as folder, Broker(kind="mosquitto") as broker:
        subprocess.run([*jidoka, "init", f"{folder}/line"], check=True, capture_output=True)
        settings = Path(folder) / "line" / "bench.toml"
        settings.write_text(SETTINGS.format(port=broker.port))
        with subprocess.Popen([*jidoka, "run", str(settings)], stderr=subprocess.DEVNULL, env=os.environ) as daemon:
            try:
                taken = measure(broker.port, args.asks)
            finally:
                daemon.terminate()
    p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    rows = [
        {"name": "ask to reply, p50", "value": round(p50, 3), "unit": "ms", "limit": LIMIT_MS, "ok": p50 <= LIMIT_MS}
    ]
    rows.append({"name": "ask to reply, p99", "value": round(p99, 3), "unit": "ms", "limit": None, "ok": True})
    if args.json:
        print(json.dumps({"rows": rows}, indent=2))
    else:
        for row in rows:
            print(f"{row['name']:<24}{row['value']:>8} ms   {'limit ' + str(row['limit']) if row['limit'] else ''}")
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
