from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from edge.events import AgentEvent, Refused, StopAsked
from edge.shell.mailbox import Mailbox


def local(n: int) -> StopAsked:
    return StopAsked(str(n))


def remote(n: int) -> Refused:
    return Refused(str(n))


def test_empty_mailbox_gives_none_when_the_time_is_over():
    box: Mailbox[AgentEvent] = Mailbox()
    before = time.monotonic()
    assert box.get(0.02) is None
    assert 0.015 <= time.monotonic() - before < 1
    assert box.get(0) is None
    assert box.get(-1) is None


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8))
def test_local_goes_first_and_each_lane_keeps_its_order(kinds: list[bool], limit: int):
    box: Mailbox[AgentEvent] = Mailbox(remote_limit=limit)
    for i, is_remote in enumerate(kinds):
        box.post(remote(i) if is_remote else local(i))
    locals_ = [local(i) for i, is_remote in enumerate(kinds) if not is_remote]
    remotes = [remote(i) for i, is_remote in enumerate(kinds) if is_remote]
    assert len(box) == len(locals_) + min(limit, len(remotes))
    got = []
    while (event := box.get(0)) is not None:
        got.append(event)
    assert got == locals_ + remotes[:limit]
    assert box.dropped_remote == max(0, len(remotes) - limit)


def test_the_remote_lane_has_room_again_after_reading():
    box: Mailbox[AgentEvent] = Mailbox(remote_limit=1)
    for i in range(3):
        box.post(remote(i))
    assert box.get(0) == remote(0)
    box.post(remote(9))
    assert box.get(0) == remote(9)
    assert box.dropped_remote == 2


def test_many_threads_lose_nothing_local():
    box: Mailbox[AgentEvent] = Mailbox(remote_limit=10_000)
    senders = [
        threading.Thread(target=lambda k=k: [box.post((remote if k % 2 else local)(k * 1000 + i)) for i in range(500)])
        for k in range(4)
    ]
    for sender in senders:
        sender.start()
    got = [box.get(5) for _ in range(2000)]
    for sender in senders:
        sender.join()
    assert None not in got
    assert box.get(0) is None
    for kind, k in ((StopAsked, 0), (Refused, 1), (StopAsked, 2), (Refused, 3)):
        numbers = [int(e.why if kind is StopAsked else e.code) for e in got if isinstance(e, kind)]
        mine = [n for n in numbers if n // 1000 == k]
        assert mine == list(range(k * 1000, k * 1000 + 500))


def test_a_waiting_reader_is_woken_soon():
    box: Mailbox[AgentEvent] = Mailbox()
    taken_ns: list[int] = []

    def read() -> None:
        while (event := box.get(5)) is not None and event != local(-1):
            taken_ns.append(time.monotonic_ns())

    reader = threading.Thread(target=read)
    reader.start()
    waits: list[int] = []
    for i in range(50):
        sent_ns = time.monotonic_ns()
        box.post(local(i))
        while len(taken_ns) <= i:
            threading.Event().wait(0.0005)
        waits.append(taken_ns[i] - sent_ns)
    box.post(local(-1))
    reader.join()
    # Typically 15 µs; a polling wait would show as milliseconds. Generous, for the machine is shared.
    assert sorted(waits)[25] < 2_000_000
