from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.domain import FrameRef
from edge.ports import Frame
from edge.shell.framestore import FrameStore, Shot


def shot(n: int, source: str = "cam", side: int = 10) -> Shot:
    return Shot(Frame(FrameRef(source, n, n * 1000), np.full((side, side, 3), n % 256, np.uint8)), part_id=n)


def test_taken_once_by_name():
    store = FrameStore()
    store.put(shot(1))
    store.put(shot(2))
    assert store.take(shot(1).frame.ref).part_id == 1
    assert store.take(shot(1).frame.ref) is None
    assert (len(store), store.missed, store.held_bytes) == (1, 1, 300)


def test_the_newest_of_a_source_is_found_even_after_its_release():
    store = FrameStore()
    store.put(shot(1))
    store.put(shot(7, "other"))
    store.put(shot(2))
    store.release(shot(2).frame.ref)
    assert store.newest("cam").part_id == 2
    assert store.take(shot(2).frame.ref).part_id == 2
    assert store.newest("nobody") is None
    assert store.missed == 0


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "release"]), st.integers(0, 12)), max_size=80))
def test_never_more_than_its_bounds(steps: list[tuple[str, int]]):
    store = FrameStore(limit=5, limit_bytes=1000)
    for verb, n in steps:
        if verb == "put":
            store.put(shot(n))
        else:
            getattr(store, verb)(shot(n).frame.ref)
        assert len(store) <= 3  # 300 bytes each
        assert store.held_bytes == 300 * len(store) <= 1000


def test_the_oldest_gives_way_and_is_counted():
    store = FrameStore(limit=2)
    for n in range(5):
        store.put(shot(n))
    assert store.evicted == 3
    assert store.take(shot(2).frame.ref) is None
    assert store.take(shot(3).frame.ref).part_id == 3


def test_one_frame_larger_than_the_bound_is_still_kept_for_its_part():
    store = FrameStore(limit_bytes=10)
    store.put(shot(1))
    assert store.take(shot(1).frame.ref).part_id == 1
