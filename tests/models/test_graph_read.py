"""The structure reader against bytes of every kind: an answer or one clear error, soon."""

from __future__ import annotations

import time
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ModelError
from edge.models import graph, liveness
from edge.models.graph import policy, weights, wire
from edge.models.graph.limits import GraphPolicy
from tests.models import hostile_limits

MAX_S = 4.0


def ask(data: bytes) -> graph.ModelFile | None:
    """All that runs before the trial. Anything but a ModelError is a defect."""
    started = time.monotonic()
    try:
        model = graph.read(data)
        policy.check(model, GraphPolicy())
        weights.check(model, {})
        liveness.judged(model)
    except ModelError:
        return None
    finally:
        assert time.monotonic() - started < MAX_S
    return model


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> list[bytes]:
    """Good and bad models that exercise every kind of part."""
    folder = tmp_path_factory.mktemp("sound")
    names = ("ifs_five_deep", "loops_in_loops", "sparse_weights_that_unfold", "sixteen_doubling_functions",
             "external_in_an_attribute", "weights_that_are_no_numbers", "a_border_of_gigabytes")  # fmt: skip
    made = []
    for name in names:
        (folder / name).mkdir()
        made.append(hostile_limits.CASES[name][0](folder / name).read_bytes())
    return made


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data):
    ask(data)


@given(data=st.data())
def test_models_with_bytes_changed(sound, data):
    model = bytearray(data.draw(st.sampled_from(sound)))
    places = st.tuples(st.integers(0, len(model) - 1), st.integers(0, 255))
    for at, value in data.draw(st.lists(places, min_size=1, max_size=6)):
        model[at] = value
    ask(bytes(model))


@given(data=st.data())
def test_models_cut_short_and_put_together(sound, data):
    first, second = (data.draw(st.sampled_from(sound)) for _ in range(2))
    cut, rest = data.draw(st.integers(0, len(first))), data.draw(st.integers(0, len(second)))
    ask(first[:cut] + second[rest:])


# Messages inside messages with the field numbers that ONNX uses: what bytes alone seldom hit.
_leaf = st.one_of(
    st.tuples(st.just(0), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(2), st.binary(max_size=12)),
    st.tuples(st.just(5), st.binary(min_size=4, max_size=4)),
)
_messages = st.recursive(
    st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 20]), _leaf), max_size=4),
    lambda inner: st.lists(
        st.tuples(st.sampled_from([1, 2, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 22, 25]), st.one_of(_leaf, inner)),
        max_size=5,
    ),
    max_leaves=40,
)


def varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def encoded(message) -> bytes:
    found = b""
    for number, value in message:
        kind, content = (2, encoded(value)) if isinstance(value, list) else value
        found += varint(number << 3 | kind)
        found += varint(content) if kind == 0 else varint(len(content)) + content if kind == 2 else content
    return found


@given(_messages)
def test_messages_of_the_right_shape(message):
    ask(b"\x08\x09\x42\x02\x10\x11" + encoded(message))  # an IR version and an operator set, then anything


def test_packed_numbers_cost_no_more_than_allowed():
    ints = b"\x42" + varint(50_000_000) + bytes(50_000_000)  # an attribute of so many packed zeros
    node = b"\x2a" + varint(len(ints)) + ints
    inner = b"\x0a" + varint(len(node)) + node
    with pytest.raises(ModelError) as caught:
        graph.read(b"\x08\x09\x42\x02\x10\x11\x3a" + varint(len(inner)) + inner)
    assert caught.value.code == "MODEL_TOO_COMPLEX"


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_packed_numbers_are_read_as_protobuf_writes_them(numbers):
    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.INT64, [len(numbers)], numbers)
    ours = graph.read(model_with(tensor)).graph.constants["t"]
    array = ours.array()
    assert (array.tolist() if array is not None else []) == numbers
    assert wire.signed(2**64 - 1) == -1


@given(st.lists(st.floats(width=16, allow_nan=False), min_size=1, max_size=9), st.sampled_from([1, 10, 11]))
def test_floats_are_read_as_the_package_reads_them(numbers, kind):
    tensor = onnx.helper.make_tensor("t", kind, [len(numbers)], numbers)
    ours = graph.read(model_with(tensor)).graph.constants["t"].array()
    assert ours is not None and ours.tolist() == onnx.numpy_helper.to_array(tensor).tolist()


def model_with(tensor: onnx.TensorProto) -> bytes:
    held = onnx.helper.make_graph([], "g", [], [], [tensor])
    return onnx.helper.make_model(held).SerializeToString()


def test_real_models_are_read_as_the_package_reads_them(shared_data):
    paths = sorted((shared_data / "models").glob("*.onnx"))
    assert paths
    for path in paths:
        ours, theirs = ask(path.read_bytes()), onnx.load(path, load_external_data=False)
        assert ours is not None, path
        assert [(n.op, n.domain, n.inputs, n.outputs) for n in ours.graph.nodes] == [
            (n.op_type, n.domain, list(n.input), list(n.output)) for n in theirs.graph.node
        ]
        assert {n: t.dims for n, t in ours.graph.constants.items()} == {
            t.name: tuple(t.dims) for t in theirs.graph.initializer
        }
        assert [v.name for v in ours.graph.outputs] == [v.name for v in theirs.graph.output]
        assert ours.metadata == {p.key: p.value for p in theirs.metadata_props}


@pytest.mark.parametrize("name", ["mnist", "yunet", "deeplab"])
def test_real_models_spoilt_anywhere(shared_data, name):
    path: Path = shared_data / "models" / f"{name}.onnx"
    whole = path.read_bytes()
    step = max(1, len(whole) // 40)
    for at in range(0, len(whole), step):
        ask(whole[:at])
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << at % 8
        ask(bytes(spoilt))
