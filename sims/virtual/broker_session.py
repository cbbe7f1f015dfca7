"""What the broker keeps of one client: its session, connected or not, and the messages on their way to it.

::

    publish ──▶ window open? ──yes──▶ in flight ──PUBACK──▶ gone
                     │no, or offline        ▲
                     ▼                      │ PUBACK, or a resumed session
                   queue ───────────────────┘
"""

from __future__ import annotations

from collections import deque
from typing import Final

from sims.virtual.broker_topics import Sub
from sims.virtual.packets import MAX_MID, NEVER, Connect, Props, Will

UNLIMITED: Final = -1
OVERHEAD_BYTES: Final = 1 + 4 + 2 + 2 + 1 + 5
"""Most that a PUBLISH has besides topic, payload and other properties than the expiry."""


class Message:
    """A message as the broker stores it, shared by all who get it. ``expires_s`` is a second of its clock, 0 never."""

    __slots__ = ("expires_s", "payload", "props", "qos", "retain", "source", "topic")

    def __init__(
        self, topic: str, payload: bytes, qos: int, *, retain: bool, source: str, expires_s: int, props: Props | None
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.source = source
        self.expires_s = expires_s
        self.props = props


class Held:
    """A message on its way to one client: ``mid`` 0 until it is in flight, and for QoS 0. ``sent`` once means DUP the
    next time (3.3.1.1).
    """

    __slots__ = ("message", "mid", "retain", "sent")

    def __init__(self, message: Message, *, retain: bool) -> None:
        self.message = message
        self.mid = 0
        self.retain = retain
        self.sent = False


class Session:
    """One client id. ``conn`` 0 is offline. ``window`` is the client's Receive Maximum, 0 for none (3.1.2.11.3)."""

    __slots__ = (
        "clean_start",
        "client_id",
        "conn",
        "expires_s",
        "expiry_s",
        "heard_s",
        "inflight",
        "keepalive_s",
        "last_mid",
        "max_bytes",
        "queue",
        "quota",
        "subs",
        "will",
        "will_at_s",
        "window",
    )

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.conn = 0
        self.clean_start = True
        self.keepalive_s = 0
        self.heard_s = 0
        self.expiry_s = 0
        self.expires_s = 0
        self.window = 0
        self.quota = UNLIMITED
        self.max_bytes = 0
        self.will: Will | None = None
        self.will_at_s = 0
        self.last_mid = 0
        self.subs: dict[str, Sub] = {}
        self.inflight: dict[int, Held] = {}
        self.queue: deque[Held] | None = None

    def begin(self, conn: int, packet: Connect, now_s: int) -> None:
        """A connection stands; what the CONNECT says holds from now on."""
        self.conn = conn
        self.clean_start = packet.clean_start
        self.keepalive_s = packet.keepalive_s
        self.heard_s = now_s
        self.expiry_s = packet.expiry_s
        self.expires_s = 0
        self.window = packet.receive_max
        self.quota = packet.receive_max or UNLIMITED
        self.max_bytes = packet.max_packet_bytes
        self.will = packet.will
        self.will_at_s = 0

    def next_mid(self) -> int:
        """A packet identifier that is not in use (2.2.1)."""
        mid = self.last_mid
        for _ in range(MAX_MID):
            mid = mid % MAX_MID + 1
            if mid not in self.inflight:
                break
        self.last_mid = mid
        return mid

    def enqueue(self, held: Held) -> None:
        """Behind all that waits."""
        if self.queue is None:
            self.queue = deque()
        self.queue.append(held)

    @property
    def is_open(self) -> bool:
        """Whether one more message may be sent now; there are no more than 65,535 packet identifiers."""
        return bool(self.conn) and self.quota != 0 and len(self.inflight) < MAX_MID

    def resume(self) -> None:
        """Refill the window from the queue, after a reconnect."""
        if self.quota != UNLIMITED:
            self.quota = max(0, self.window - len(self.inflight))
        while self.queue and self.is_open:
            self.launch(self.queue.popleft())

    def launch(self, held: Held) -> None:
        """Put a message in flight."""
        held.mid = self.next_mid()
        self.inflight[held.mid] = held
        if self.quota > 0:
            self.quota -= 1

    def acked(self, mid: int) -> list[Held]:
        """Take one out; what may be sent now.

        Mosquitto counts the place of the acknowledged message in the window instead of the window's length, and so
        sends up to twice Receive Maximum less one when they are acknowledged in order; so does this.
        """
        if not self.window:
            self.inflight.pop(mid, None)
            if not self.queue:
                return []
            held = self.queue.popleft()
            self.launch(held)
            return [held]
        if self.quota < self.window:
            self.quota += 1
        place = len(self.inflight)
        if mid in self.inflight:
            place = next(i for i, one in enumerate(self.inflight) if one == mid)
            del self.inflight[mid]
        before = len(self.inflight)
        while self.queue and place < self.window:
            place += 1
            self.launch(self.queue.popleft())
        return list(self.inflight.values())[before:]

    def outlives(self) -> bool:
        """Whether it stays when its connection ends."""
        return self.expiry_s > 0

    def set_expiry(self, now_s: int) -> None:
        """The connection ended: from now on the session's time runs."""
        self.expires_s = 0 if self.expiry_s == NEVER else now_s + self.expiry_s

    def copy(self) -> Session:
        """As it would be read back from the broker's file: offline, without a will."""
        twin = Session(self.client_id)
        twin.clean_start = False
        twin.expiry_s, twin.expires_s, twin.last_mid = self.expiry_s, self.expires_s, self.last_mid
        for text, sub in self.subs.items():
            twin.subs[text] = Sub(twin, sub.qos, no_local=sub.no_local, as_published=sub.as_published)
        for held in self.inflight.values():
            twin.inflight[held.mid] = _copy(held)
        for held in self.queue or ():
            twin.enqueue(_copy(held))
        return twin


def _copy(held: Held) -> Held:
    twin = Held(held.message, retain=held.retain)
    twin.mid, twin.sent = held.mid, held.sent
    return twin
