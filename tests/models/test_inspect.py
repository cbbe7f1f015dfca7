"""What is told from a bare file, and what is honestly not."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import ModelError
from edge.models.guard import Signature, Tensor
from edge.models.inspect.facts import gather
from edge.models.inspect.labels import label_set
from edge.models.inspect.proposal import propose as propose_of
from edge.models.inspect.rules.ultralytics import metadata_size_px
from edge.vision.conventions import ClassifyHead, End2EndHead, RawHead, SegmentHead, YoloV8Head

YOLO_320 = (1, 3, 320, 320)
NAMES = {"task": "detect", "names": "{0: 'bolt', 1: 'nut'}"}


def propose(seen, name="m"):
    return propose_of(gather(seen, None, name))


def signature(output, shape=YOLO_320, metadata=None, *, low=-5.0, high=5.0, probe=None, kind="tensor(float)"):
    outputs = output if isinstance(output, list) else [output]
    return Signature(
        inputs=(Tensor("images", tuple(shape), kind),),
        outputs=tuple(Tensor(f"o{i}", tuple(o), "tensor(float)", low, high) for i, o in enumerate(outputs)),
        metadata=metadata or {},
        finite=True,
        probe_shape=probe or tuple(shape),
    )


@pytest.mark.parametrize(
    ("seen", "head", "labels"),
    [
        (signature((1, 6, 2100), metadata=NAMES), YoloV8Head(), ("bolt", "nut")),
        (signature((1, 300, 6), metadata=NAMES), End2EndHead(), ("bolt", "nut")),
        (signature((1, 6, 2100), low=0.0, high=300.0), YoloV8Head(), ("0", "1")),
        (signature((1, 300, 6)), End2EndHead(), label_set("coco-80")),
        (signature((1, 2), metadata=NAMES | {"task": "classify"}), ClassifyHead(activation="none"), ("bolt", "nut")),
        (signature((1, 10), (1, 1, 28, 28)), ClassifyHead(), tuple("0123456789")),
        (signature((1, 3), low=0.0, high=1.0), ClassifyHead(activation="none"), ("0", "1", "2")),
        (signature((1, 1, 80, 80), low=0.0, high=0.9), SegmentHead(activation="none"), ("0",)),
        (
            signature((1, 5, 320, 320)),
            SegmentHead(activation="softmax", background=0, exclusive=True),
            ("0", "1", "2", "3"),
        ),
    ],
)
def test_conventions_that_are_recognised(seen, head, labels):
    proposal = propose(seen, "my-model")
    assert proposal.manifest.output == head and proposal.manifest.model.labels == labels
    assert proposal.manifest.model.name == "my-model"
    # Whatever the file did not say is said.
    assert bool(proposal.assumed) == ("names" not in seen.metadata)
    assert proposal.evidence["head"] and 0 < proposal.overall <= 1


@pytest.mark.parametrize(
    "seen",
    [
        signature((1, 6, 2099)),
        signature((1, 7, 2100, 2, 2)),
        signature((1, 7, 2100), metadata=NAMES | {"task": "pose"}, low=0, high=1, probe=(1, 3, 32, 32)),
        signature([(1, 7, 11), (1, 13, 17)]),
    ],
)
def test_what_cannot_be_told_is_given_raw_and_said(seen):
    proposal = propose(seen)
    assert proposal.manifest.output == RawHead() and proposal.overall < 0.3
    assert any("cannot be told" in sentence for sentence in proposal.assumed)
    assert all(str(d) in proposal.evidence["head"][0] for d in seen.outputs[0].shape)


@pytest.mark.parametrize(
    "seen",
    [
        signature((1, 21), (1, 100)),
        signature((1, 21), (4, 3, 32, 32)),
        signature((1, 21), (1, 3, 32, 100_000)),
        signature((1, 21), kind="tensor(double)"),
        Signature(),
    ],
)
def test_inputs_that_take_no_picture(seen):
    with pytest.raises(ModelError) as caught:
        propose(seen, "m")
    assert caught.value.code == "MODEL_INPUT_UNFIT"


@pytest.mark.parametrize(
    "names",
    ["", "[", "('" * 5000, "__import__('os')", "{0: 'a'" + ", 1: 'a'" * 3 + "}", "-" * 100_000, "{None: 1, 'x': {}}"],
)
def test_metadata_is_read_and_never_run(names):
    proposal = propose(signature((1, 6, 2100), metadata={"task": "detect", "names": names}), "m")
    assert len(set(proposal.manifest.model.labels)) == 2


def test_repeated_and_wild_names_are_made_labels():
    names = str({0: "x" * 200, 1: "x" * 200, 2: ""})
    proposal = propose(signature((1, 7, 2100), metadata={"task": "detect", "names": names}), "../m\n")
    labels = proposal.manifest.model.labels
    assert len(set(labels)) == 3 and all(0 < len(label) <= 64 for label in labels)
    assert proposal.manifest.model.name == "model"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[320, 640]", (640, 320)), ("[320]", None), ("320", None), ("[0, 5]", None), ("[99999, 5]", None), ("x", None)],
)
def test_image_size_in_metadata(text, expected):
    assert metadata_size_px({"imgsz": text}) == expected


def test_a_free_size_is_told():
    seen = signature((1, 6, 2100), (1, 3, None, None), probe=YOLO_320)
    assert any("640 x 640" in sentence for sentence in propose(seen, "m").assumed)
    assert np.array(propose(seen, "m").manifest.input.width_px) == 640
