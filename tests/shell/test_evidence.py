from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import WAIT_S, Collector

from edge.domain import FrameRef, Reason
from edge.errors import StoreError
from edge.events import EvidenceStored, KeepEvidence
from edge.messages import Evidence, Result, encode_record
from edge.ports import Frame, Image
from edge.shell.evidence import LEAST_WIDTH_PX, MAX_JPEG_BYTES, PICTURES, QUEUE_LIMIT, EvidenceThread, encode, scaled
from edge.shell.framestore import FrameStore, Shot
from edge.topics import MAX_RECORD_BYTES
from edge.vision.prediction import Prediction

RESULT = Result("fail", 1_700_000_000_000, "cam", 1, 41, 3, part_no=7, reasons=(Reason("score", "spot", 0.9, 0.5),))


class Kept:
    """The journal's side: takes records, or refuses as told."""

    def __init__(self) -> None:
        self.records: list[Evidence] = []
        self.error: StoreError | None = None
        self.refuse = False
        self.gate = threading.Event()
        self.gate.set()

    def append(self, record: Evidence) -> int:
        assert self.gate.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        if self.refuse:
            return 0
        self.records.append(record)
        return len(self.records)


@contextmanager
def running(**how) -> Iterator[tuple[EvidenceThread, FrameStore, Kept, Collector]]:
    seen, store, kept = Collector(), FrameStore(), Kept()
    thread = EvidenceThread(store, kept.append, seen.post, seen.crash, utc_ms=lambda ns: ns // 1000, **how)
    thread.start()
    try:
        yield thread, store, kept, seen
    finally:
        kept.gate.set()
        thread.stop()
        assert thread.join()
    assert not seen.crashes


def gray(width: int = 320, height: int = 240) -> Image:
    return np.full((height, width, 3), 90, np.uint8)


def put(store: FrameStore, n: int, image: Image | None = None) -> FrameRef:
    image = gray() if image is None else image
    height, width = image.shape[:2]
    box = np.array([[40, 80, 120, 160]], np.float32)
    found = Prediction(
        "detect",
        ("spot",),
        width,
        height,
        box,
        np.array([0.9], np.float32),
        np.zeros(1, np.int64),
        np.ones(1, np.float32),
    )
    ref = FrameRef("cam", n, n * 1_000_000)
    store.put(Shot(Frame(ref, image), found, 41))
    return ref


def pixels(record: Evidence) -> Image:
    return cv2.imdecode(np.frombuffer(record.jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_a_failed_part_becomes_a_picture_with_overlay_and_banner():
    with running() as (thread, store, kept, seen):
        ref = put(store, 1)
        thread.keep(KeepEvidence(ref, "fail", RESULT))
        (stored,) = seen.wait_n(EvidenceStored, 1)
        assert stored == EvidenceStored(ref, 1)
        (record,) = kept.records
        assert (record.decision, record.part_no, record.part_id, record.boot_no) == ("fail", 7, 41, 3)
        assert (record.why, record.utc_ms, record.overlay) == ("fail", RESULT.utc_ms, True)
        picture = pixels(record)
        assert picture.shape[:2] == (record.height_px, record.width_px) == (240, 320)
        red = picture[5, 300].astype(int)
        assert red[2] > red[0] + 80, "the banner of a failed part is red"
        assert np.abs(picture[78:83, 60].astype(int) - 90).max() > 40, "the box is drawn"
        assert len(store) == 0


def test_the_frame_itself_is_not_drawn_upon():
    with running() as (thread, store, _, seen):
        image = gray()
        thread.keep(KeepEvidence(put(store, 1, image), "fail", RESULT))
        seen.wait_n(EvidenceStored, 1)
        assert (image == 90).all()


def test_without_overlay_the_bare_picture_is_kept():
    with running(overlay=False, jpeg_quality=95) as (thread, store, kept, seen):
        thread.keep(KeepEvidence(put(store, 1), "sample", None, "ask-1"))
        (stored,) = seen.wait_n(EvidenceStored, 1)
        assert stored.ask_id == "ask-1"
        (record,) = kept.records
        assert (record.overlay, record.ask_id, record.utc_ms, record.decision) == (False, "ask-1", 1000, "none")
        assert np.abs(pixels(record).astype(int) - 90).max() <= 2


def test_large_pictures_are_made_smaller_and_settings_can_change():
    with running(max_width_px=200) as (thread, store, kept, seen):
        thread.keep(KeepEvidence(put(store, 1, gray(1000, 500)), "fail", RESULT))
        seen.wait_n(EvidenceStored, 1)
        thread.configure(max_width_px=100, overlay=False)
        thread.keep(KeepEvidence(put(store, 2, gray(1000, 500)), "fail", RESULT))
        seen.wait_n(EvidenceStored, 2)
    assert [(r.width_px, r.height_px, r.overlay) for r in kept.records] == [(200, 100, True), (100, 50, False)]


def test_noise_that_does_not_fit_is_squeezed_until_it_does():
    noise = np.random.default_rng(1).integers(0, 256, (1500, 2000, 3), np.uint8)
    with running(max_width_px=8192, jpeg_quality=100) as (thread, store, kept, seen):
        thread.keep(KeepEvidence(put(store, 1, noise), "fail", RESULT))
        seen.wait_n(EvidenceStored, 1)
    (record,) = kept.records
    assert len(encode_record(record)) <= MAX_RECORD_BYTES["evidence"]
    assert pixels(record).shape[:2] == (record.height_px, record.width_px)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 300), st.integers(1, 100), st.integers(1000, 40_000))
def test_encoding_always_ends_within_the_limit_or_at_the_smallest_size(width, height, quality, limit):
    noise = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
    image, jpeg = encode(noise, quality, limit)
    assert len(jpeg) <= limit or image.shape[1] <= LEAST_WIDTH_PX
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == image.shape


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 400))
def test_scaling_keeps_proportions(width: int, height: int, most: int):
    image = scaled(np.zeros((height, width), np.uint8), most)
    assert image.shape[1] == min(width, most)
    assert abs(image.shape[0] - height * image.shape[1] / width) <= 1


def test_a_frame_that_is_gone_is_told():
    with running() as (thread, _, _, seen):
        ref = FrameRef("cam", 9, 9)
        thread.keep(KeepEvidence(ref, "fail", RESULT, "ask"))
        assert seen.wait_n(EvidenceStored, 1) == [EvidenceStored(ref, 0, "ask", "FRAME_GONE")]
        assert thread.gone == 1


def test_when_too_many_wait_the_oldest_gives_way_and_nothing_is_silent():
    with running() as (thread, store, kept, seen):
        kept.gate.clear()
        refs = [put(store, n) for n in range(QUEUE_LIMIT + 5)]
        for ref in refs:
            thread.keep(KeepEvidence(ref, "fail", RESULT))
        dropped = seen.of(EvidenceStored)
        assert {e.code for e in dropped} == {"EVIDENCE_DROPPED"}
        assert 4 <= len(dropped) <= 5
        kept.gate.set()
        events = seen.wait_n(EvidenceStored, len(refs))
        assert {e.ref for e in events} == set(refs)
        assert (thread.dropped, thread.stored) == (len(dropped), len(refs) - len(dropped))


def test_a_journal_that_refuses_is_told_and_the_thread_goes_on():
    with running() as (thread, store, kept, seen):
        kept.error = StoreError("JOURNAL_FULL", "no room")
        thread.keep(KeepEvidence(put(store, 1), "fail", RESULT))
        seen.wait_n(EvidenceStored, 1)
        kept.error, kept.refuse = None, True
        thread.keep(KeepEvidence(put(store, 2), "fail", RESULT))
        seen.wait_n(EvidenceStored, 2)
        kept.refuse = False
        thread.keep(KeepEvidence(put(store, 3), "fail", RESULT))
        events = seen.wait_n(EvidenceStored, 3)
        assert [(e.seq, e.code) for e in events] == [(0, "JOURNAL_FULL"), (0, "EVIDENCE_REFUSED"), (1, "")]
        assert [p.record.frame_no for p in thread.pictures()] == [3]


def test_the_last_pictures_newest_first():
    with running() as (thread, store, _, seen):
        for n in range(PICTURES + 3):
            thread.keep(KeepEvidence(put(store, n), "fail", RESULT))
            seen.wait_n(EvidenceStored, n + 1)
        assert [p.n for p in thread.pictures()] == list(range(PICTURES + 3, 3, -1))


def test_what_waits_at_the_stop_is_still_kept():
    with running() as (thread, store, kept, seen):
        kept.gate.clear()
        for n in range(3):
            thread.keep(KeepEvidence(put(store, n), "fail", RESULT))
        thread.stop()
        kept.gate.set()
        assert thread.join()
        assert len(kept.records) == 3 == len(seen.of(EvidenceStored))


def test_a_jpeg_of_the_limit_leaves_room_for_the_rest_of_the_record():
    long = "x" * 64
    record = Evidence(
        long, 2**63, 2**53, long, b"x" * MAX_JPEG_BYTES, 2**40, 2**40, 65535, "unsure", 9999, 9999, True, long
    )
    assert len(encode_record(record)) <= MAX_RECORD_BYTES["evidence"]
