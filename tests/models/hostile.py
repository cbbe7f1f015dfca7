"""Models that mean harm or are broken, each with the codes it may be refused with.

Forty kinds were tried on the runtime alone (see the decision on the structure reader): it swallows some, hangs on some
and takes all memory with some. Each is made here, with the ``onnx`` package or byte by byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.models import graphs
from tests.models.graphs import save, tensor

SHAPE = (1, 3, 8, 8)
IN, OUT = [tensor("images", SHAPE)], [tensor("output0", SHAPE)]
Case = tuple[Callable[[Path], Path], set[str]]
CASES: dict[str, Case] = {}


def case(*codes: str) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    def keep(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES[make.__name__] = (make, set(codes))
        return make

    return keep


def node(op: str, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def edited(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    """A good model with one thing wrong."""
    graphs.constant(path, np.ones((1, 4)), shape=SHAPE)
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def chained(path: Path, nodes, weights=None) -> Path:
    return save(path, nodes, IN, OUT, weights or {})


# --- external data


def external(folder: Path, location: str, offset: str = "0", length: str = "16") -> Path:
    path = graphs.with_external_data(folder / "m.onnx")
    model = onnx.load(path, load_external_data=False)
    weight = next(one for one in model.graph.initializer if one.name == "w")
    for entry in weight.external_data:
        entry.value = {"location": location, "offset": offset, "length": length}[entry.key]
    path.write_bytes(model.SerializeToString())
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_that_climbs_out(folder):
    (folder.parent / "secret.bin").write_bytes(bytes(16))
    return external(folder, "../secret.bin")


@case("MODEL_EXTERNAL_REFUSED")
def external_with_an_absolute_path(folder):
    return external(folder, "/etc/passwd")


@case("MODEL_EXTERNAL_REFUSED")
def external_through_a_symbolic_link(folder):
    path = external(folder, "link.bin")
    (folder / "link.bin").symlink_to("/etc/passwd")
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_through_a_linked_folder(folder):
    path = external(folder, "sub/hostname")
    (folder / "sub").symlink_to("/etc")
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_that_is_hard_linked(folder):
    path = external(folder, "hard.bin")
    os.link(folder / "secret.bin", folder / "hard.bin")
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_that_is_a_pipe(folder):
    path = external(folder, "fifo")
    os.mkfifo(folder / "fifo")
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_that_is_a_folder(folder):
    (folder / "sub").mkdir()
    return external(folder, "sub")


@case("MODEL_EXTERNAL_REFUSED")
def external_that_is_the_model(folder):
    return external(folder, "m.onnx")


@case("MODEL_EXTERNAL_REFUSED")
def external_beyond_the_end(folder):
    return external(folder, "secret.bin", offset="8")


@case("MODEL_EXTERNAL_REFUSED")
def external_before_the_beginning(folder):
    return external(folder, "secret.bin", offset="-8")


@case("MODEL_EXTERNAL_REFUSED")
def external_of_another_length(folder):
    return external(folder, "secret.bin", length="8")


@case("MODEL_EXTERNAL_ABSENT")
def external_that_is_not_there(folder):
    return external(folder, "gone.bin")


@case("MODEL_EXTERNAL_REFUSED")
def external_in_an_attribute(folder):
    value = numpy_helper.from_array(np.ones(4, np.float32), "w")
    value.data_location = TensorProto.EXTERNAL
    value.ClearField("raw_data")
    entry = value.external_data.add()
    entry.key, entry.value = "location", "secret.bin"
    (folder / "secret.bin").write_bytes(bytes(16))
    nodes = [node("Constant", [], ["c"], value=value), node("ReduceSum", ["c"], ["s"], keepdims=0)]
    return chained(folder / "m.onnx", [*nodes, node("Add", ["images", "s"], ["output0"])])


# --- files


@case("MODEL_NOT_A_FILE")
def a_pipe(folder):
    os.mkfifo(folder / "m.onnx")
    return folder / "m.onnx"


@case("MODEL_NOT_A_FILE")
def a_device(folder):
    (folder / "m.onnx").symlink_to("/dev/zero")
    return folder / "m.onnx"


@case("MODEL_UNREADABLE")
def an_empty_file(folder):
    (folder / "m.onnx").touch()
    return folder / "m.onnx"


@case("MODEL_TOO_LARGE")
def a_file_of_gigabytes(folder):
    with (folder / "m.onnx").open("wb") as file:
        file.truncate(8 * 1024**3)
    return folder / "m.onnx"


@case("MODEL_UNREADABLE")
def text(folder):
    (folder / "m.onnx").write_text("this is no model\n" * 100)
    return folder / "m.onnx"


@case("MODEL_UNREADABLE")
def a_truncated_model(folder):
    path = graphs.constant(folder / "m.onnx", np.ones((1, 4000)))
    path.write_bytes(path.read_bytes()[:9000])
    return path
