"""The OpenCV driver on real files, a real stream and real silence."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer_http import HttpPeer, number_of, part, picture
from peer_raw import RawPeer

from drivers.camera_opencv import OpenCvCamera, OpenCvOptions, Pacer
from edge.errors import ConfigError, DeviceError, ImageError, SourceEnded
from edge.ports import Frame

FRAMES = 30


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "made.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for number in range(FRAMES):
        writer.write(picture(number))
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    for number in (3, 1, 2):
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), picture(number))
    (tmp_path / "notes.txt").write_text("not a picture")
    os.mkfifo(tmp_path / "004.png")  # would hang whoever opens it
    return tmp_path


def camera(source: object, **more) -> OpenCvCamera:
    return OpenCvCamera("cam", OpenCvOptions(source=source if isinstance(source, int) else str(source), **more))


def each_frame(driver: OpenCvCamera, timeout_s: float = 5.0) -> Iterator[Frame]:
    """Until SourceEnded."""
    while True:
        try:
            yield driver.read(timeout_s)
        except SourceEnded:
            return


def all_frames(driver: OpenCvCamera, limit: int | None = None) -> list[Frame]:
    driver.open()
    try:
        return list(islice(each_frame(driver), limit))
    finally:
        driver.close()


def failure(driver: OpenCvCamera, timeout_s: float = 0.3) -> str:
    with pytest.raises(DeviceError) as failed:
        driver.read(timeout_s)
    return failed.value.code


def test_every_frame_of_a_video_in_order(video):
    before_ns = time.monotonic_ns()
    frames = all_frames(camera(video))
    assert [f.ref.frame_no for f in frames] == list(range(FRAMES))
    assert [number_of(f.image) for f in frames] == list(range(FRAMES))
    assert before_ns < frames[0].ref.captured_ns < frames[-1].ref.captured_ns < time.monotonic_ns()
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].image is not frames[1].image


def test_the_end_stays_the_end_until_opened_again(video):
    driver = camera(video)
    last = all_frames(driver)[-1].ref.frame_no
    driver.open()
    again = driver.read(1.0)
    assert (again.ref.frame_no, number_of(again.image)) == (last + 1, 0)
    for _ in range(FRAMES - 1):
        driver.read(1.0)
    assert failure(driver) == failure(driver) == "SOURCE_ENDED"
    driver.close()


def test_loop_begins_again_with_rising_numbers(video):
    frames = all_frames(camera(video, loop=True), limit=2 * FRAMES + 1)
    assert [f.ref.frame_no for f in frames] == list(range(2 * FRAMES + 1))
    assert [number_of(f.image) for f in frames] == [*range(FRAMES), *range(FRAMES), 0]


def test_a_folder_is_read_by_name_and_a_pipe_in_it_is_passed_over(folder):
    assert [number_of(f.image) for f in all_frames(camera(folder))] == [1, 2, 3]


def test_a_pattern_and_a_single_picture(folder):
    assert [number_of(f.image) for f in all_frames(camera(folder / "00[12].png"))] == [1, 2]
    assert [number_of(f.image) for f in all_frames(camera(folder / "003.png"))] == [3]
    assert [number_of(f.image) for f in all_frames(camera(folder, loop=True), limit=4)] == [1, 2, 3, 1]


def test_a_bad_picture_is_named_and_the_next_one_follows(folder):
    (folder / "0015.png").write_bytes((folder / "001.png").read_bytes()[:40])
    driver = camera(folder)
    driver.open()
    driver.read(1.0)
    with pytest.raises(ImageError, match=r"FRAME_MALFORMED: .*0015\.png"):
        driver.read(1.0)
    assert number_of(driver.read(1.0).image) == 2
    driver.close()


def test_pacing_slows_the_source_and_loses_no_frame(video):
    before_ns = time.monotonic_ns()
    frames = all_frames(camera(video, rate_hz=200.0))
    took_s = (time.monotonic_ns() - before_ns) / 1e9
    assert [number_of(f.image) for f in frames] == list(range(FRAMES))
    assert took_s >= (FRAMES - 2) / 200


def test_a_frame_that_is_not_due_is_a_time_out_and_comes_later(video):
    driver = camera(video, rate_hz=5.0)
    driver.open()
    driver.read(1.0)
    assert failure(driver, 0.05) == "SOURCE_TIMEOUT"
    assert number_of(driver.read(1.0).image) == 1
    driver.close()


@given(st.floats(1, 1000), st.lists(st.integers(0, 10**10), min_size=1, max_size=50))
def test_the_pace_is_kept_and_never_bursts(rate_hz, waits_ns):
    pacer, period_ns, now_ns, given_ns = Pacer(rate_hz), int(1e9 / rate_hz), 0, []
    for wait_ns in waits_ns:
        due_ns = pacer.due_ns(now_ns)
        now_ns = max(now_ns, due_ns)
        given_ns.append(now_ns)
        pacer.gave(due_ns)
        now_ns += wait_ns
    # Two frames may come together to catch up, three never.
    assert all(c - a >= period_ns for a, c in zip(given_ns, given_ns[2:], strict=False))


@pytest.mark.parametrize("source", ["/no/such.mp4", "/no/such/*.png", "/dev/null", 97])
def test_sources_that_are_not_there(source):
    driver = camera(source)
    with pytest.raises(DeviceError, match="SOURCE_ABSENT"):
        driver.open()
    assert failure(driver) == "SOURCE_NOT_OPEN"
    driver.close()


def test_an_empty_folder(tmp_path):
    with pytest.raises(DeviceError, match=r"SOURCE_ABSENT: no pictures.*looked for \.bmp"):
        camera(tmp_path).open()


def test_a_stream_url_with_nobody_behind_it():
    with RawPeer() as gone:
        port = gone.port
    with pytest.raises(DeviceError, match="SOURCE_ABSENT"):
        camera(f"http://127.0.0.1:{port}/stream").open()


def test_a_video_that_is_none(tmp_path):
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(DeviceError, match="FRAME_MALFORMED"):
        camera(path).open()


def test_a_video_cut_short_is_told_once_and_then_ends(video, tmp_path):
    path = tmp_path / "cut.avi"
    whole = video.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    driver = camera(path)
    try:
        driver.open()
        seen: list[Frame] = []
        with pytest.raises(DeviceError, match=r"FRAME_MALFORMED.*ends after \d+ of 30 frames"):
            seen.extend(each_frame(driver))
        assert 0 < len(seen) < FRAMES
        assert failure(driver) == "SOURCE_ENDED"
    finally:
        driver.close()


def test_loop_and_rate_are_not_for_cameras():
    with pytest.raises(ConfigError, match="files and folders"):
        camera("rtsp://127.0.0.1/x", loop=True)


def test_a_stream_that_freezes_times_out_and_the_reading_thread_is_replaced():
    with HttpPeer() as peer:
        peer.parts = [part(n) for n in range(1, 30)]
        driver = camera(f"http://127.0.0.1:{peer.port}/stream", timeout_s=1.0)
        driver.open()
        frames = [driver.read(2.0) for _ in range(10)]
        assert all(a.ref.frame_no < b.ref.frame_no for a, b in pairwise(frames))
        with pytest.raises(DeviceError, match=r"SOURCE_(TIMEOUT|LOST)"):
            frames.extend(each_frame(driver, timeout_s=1.0))
        assert time.monotonic_ns() - frames[-1].ref.captured_ns < 1_300_000_000
        driver.close()
        driver.open()
        assert driver.read(2.0).ref.frame_no > frames[-1].ref.frame_no
        driver.close()


def test_a_server_that_never_answers_is_given_up_in_time():
    with RawPeer() as silent:
        driver = camera(f"http://127.0.0.1:{silent.port}/x", timeout_s=0.5)
        before_ns = time.monotonic_ns()
        with pytest.raises(DeviceError, match=r"SOURCE_(TIMEOUT|ABSENT)"):
            driver.open()
        assert time.monotonic_ns() - before_ns < 600_000_000
        driver.close()


@pytest.mark.timeout(110)
def test_all_1189_frames_of_a_real_video(shared_data):
    path = shared_data / "video-intel" / "bottle-detection.mp4"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    driver = camera(path)
    driver.open()
    count, means = 0, set()
    for frame in each_frame(driver):
        assert frame.ref.frame_no == count
        means.add(float(frame.image[::16, ::16].mean()))
        count += 1
    driver.close()
    assert count == 1189
    assert len(means) > 1000  # they are really different pictures


def test_a_folder_of_real_photos(shared_data):
    photos = shared_data / "coco-photos"
    if not photos.exists():
        pytest.skip(f"there is no {photos}")
    frames = all_frames(camera(photos))
    assert len(frames) == len(list(photos.glob("*.jpg"))) > 0
    assert all(f.image.ndim == 3 and f.image.std() > 5 for f in frames)
