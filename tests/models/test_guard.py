"""The guard: what is dangerous dies in the child, what is fine is described, and the description is kept."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ModelError
from edge.models import guard
from edge.models.bundle import sha256_of
from edge.models.files import read_bounded
from edge.models.graph.limits import GraphPolicy
from edge.models.guard import GuardLimits
from tests.models import graphs

GIB = 1024**3


def examine(path, cache, **options):
    data = path.read_bytes()
    return guard.examine(data, sha256_of(data), cache=cache, **options)


def refusal(path, cache, **options) -> ModelError:
    with pytest.raises(ModelError) as caught:
        examine(path, cache, **options)
    return caught.value


def test_a_good_model_is_described(tmp_path, cache):
    path = graphs.constant(tmp_path / "m.onnx", np.array([[0.25, 0.5, -2.0]]), metadata={"names": "{0: 'a'}"})
    seen = examine(path, cache)
    assert [(t.name, t.shape, t.type) for t in seen.inputs] == [("images", (1, 3, 64, 64), "tensor(float)")]
    (output,) = seen.outputs
    assert (output.name, output.shape, output.moves) == ("output0", (1, 3), True)
    assert (output.low, output.high) == pytest.approx((-2.0, 0.5), abs=1e-3)
    assert seen.metadata == {"names": "{0: 'a'}"} and seen.finite is True


def test_free_dimensions_get_the_size_that_was_asked_for(tmp_path, cache):
    path = graphs.constant(tmp_path / "m.onnx", np.zeros((1, 2)), shape=("batch", 3, "height", "width"))
    seen = examine(path, cache, size_px=(96, 32))
    assert seen.inputs[0].shape == (None, 3, None, None)
    assert seen.probe_shape == (1, 3, 32, 96)


def test_the_second_look_is_taken_from_the_cache(tmp_path):
    path = graphs.brightest_channel(tmp_path / "m.onnx")
    first = examine(path, tmp_path / "cache")
    # A child that may run for a microsecond cannot have been asked.
    assert examine(path, tmp_path / "cache", limits=GuardLimits(wall_s=1e-6)) == first
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(b"not JSON")
    again = examine(path, tmp_path / "cache")
    assert (again.outputs, again.probes) == (first.outputs, first.probes)


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path):
    (tmp_path / "file").write_text("in the way")
    path = graphs.brightest_channel(tmp_path / "m.onnx")
    assert examine(path, tmp_path / "file" / "cache").finite is True


def test_refusals_for_want_of_time_are_not_kept(tmp_path):
    path = graphs.brightest_channel(tmp_path / "m.onnx")
    assert refusal(path, tmp_path / "cache", limits=GuardLimits(wall_s=1e-6)).code == "MODEL_LIMITS"
    assert examine(path, tmp_path / "cache").finite is True


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_not_finite(tmp_path, cache, value):
    path = graphs.constant(tmp_path / "m.onnx", np.array([[0.5, value]]))
    assert refusal(path, cache).code == "MODEL_NOT_FINITE"
    assert refusal(path, cache).code == "MODEL_NOT_FINITE"  # from the cache


@pytest.mark.parametrize("data", [b"hello", b"\x08\x07", bytes(1000), b""])
def test_what_is_not_onnx(tmp_path, cache, data):
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    assert refusal(path, cache).code == "MODEL_UNREADABLE"


def test_a_truncated_model(tmp_path, cache):
    path = graphs.constant(tmp_path / "m.onnx", np.zeros((1, 1000)))
    path.write_bytes(path.read_bytes()[:2000])
    assert refusal(path, cache).code == "MODEL_UNREADABLE"


def test_variables_that_are_set_meanwhile_do_not_matter(tmp_path):
    """As importing OpenCV does on another thread while a daemon starts."""
    path = graphs.brightest_channel(tmp_path / "m.onnx")
    ended = threading.Event()

    def set_many() -> None:
        while not ended.is_set():
            for change in (lambda name: os.putenv(name, "x" * 100), os.unsetenv):
                for n in range(500):
                    change(f"JIDOKA_TEST_{n}")

    busy = threading.Thread(target=set_many)
    busy.start()
    try:
        for n in range(5):
            assert examine(path, tmp_path / f"cache-{n}").finite is True
    finally:
        ended.set()
        busy.join()


def test_an_endless_loop_is_stopped(tmp_path, cache):
    path = graphs.endless(tmp_path / "m.onnx")
    assert refusal(path, cache).code == "MODEL_LOOP_UNBOUND"
    limits = GuardLimits(cpu_s=1, wall_s=20, policy=GraphPolicy(max_trips=0))
    assert refusal(path, cache, limits=limits).code == "MODEL_LIMITS"


def test_a_memory_bomb_goes_off_elsewhere(tmp_path, cache):
    path = graphs.bomb(tmp_path / "m.onnx")
    assert refusal(path, cache).code == "MODEL_TENSOR_TOO_LARGE"
    limits = GuardLimits(memory_bytes=2 * GIB, cpu_s=10, policy=GraphPolicy(max_elements=2**40))
    error = refusal(path, cache, limits=limits)
    assert error.code in {"MODEL_LIMITS", "MODEL_RUN_FAILED", "MODEL_UNREADABLE"}


def test_the_runtime_reads_no_file_beside_the_model(tmp_path, cache):
    path = graphs.with_external_data(tmp_path / "m.onnx")
    here = Path.cwd()
    os.chdir(tmp_path)  # even where the file would be found
    try:
        assert refusal(path, cache).code in {"MODEL_UNREADABLE", "MODEL_RUN_FAILED"}
    finally:
        os.chdir(here)


def test_files_are_looked_at_before_they_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(bytes(101))
    cases = {"fifo": "MODEL_NOT_A_FILE", ".": "MODEL_NOT_A_FILE", "large": "MODEL_TOO_LARGE", "gone": "MODEL_ABSENT"}
    for name, code in cases.items():
        with pytest.raises(ModelError) as caught:
            read_bounded(tmp_path / name, 100)
        assert caught.value.code == code
    assert read_bounded(tmp_path / "large", 101) == bytes(101)
    assert read_bounded(tmp_path / "large", 10, head=4) == bytes(4)
