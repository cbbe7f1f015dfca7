"""What is given as maps over the picture, or as a picture: segmentation, anomaly, reconstruction, depth, features."""

from __future__ import annotations

from edge.models.guard import Tensor
from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import FAIR, LIKELY, POOR, SURE, Guess, shown
from edge.vision.conventions import (
    AnomalyHead,
    LabelMapHead,
    RawHead,
    ReconstructionHead,
    SegmentHead,
)
from edge.vision.spec import Activation, Layout

_MAX_CLASSES = 256
_RANK_MAPS = 4
_COARSEST = 8
"""Maps of classes are at most so many times coarser than the input; what is coarser are grids or features."""
_BACKGROUND_FIRST = {2, 21, 60}
"""Numbers of classes with background first: one thing and nothing; PASCAL VOC; PASCAL context."""
_NO_BACKGROUND = {19, 150, 171, 182}
"""Cityscapes, ADE20K, COCO-Stuff: every pixel is something."""
_VOC = 21
"""Classes that DeepLab's published exports have."""
_NO_LOGIT = 100.0
"""Logits seldom go so high and no lower than a hair under 0 at once; pixels of a picture do."""
_DEPTH_WORDS = ("depth", "disp", "midas", "dpt")
_ALPHA_WORDS = ("alpha", "matte", "modnet", "mask", "sal", "u2net", "isnet", "rmbg")


def anomalib(facts: Facts) -> Guess | None:
    """Outputs called as anomalib calls them, or a score and a map."""
    shapes = facts.shapes
    names = {n.lower(): n for n in shapes}
    if "anomaly_map" in names or "pred_score" in names:
        tensor = next(o for o in facts.outputs if o.name.lower() in {"anomaly_map", "pred_score"})
        # Its post-processor clips to 0..1 (after normalising by what validation pictures gave).
        normalised = tensor.low >= 0.0 and tensor.high <= 1.0 and bool({"Clip", "Min"} & facts.ops)
        evidence: tuple[str, ...] = (
            f"outputs are called {', '.join(shapes)}: anomalib",
            "values end in a clip to 0..1: normalised, the threshold is 0.5" if normalised else "values are raw",
        )
        unsure = (
            () if normalised else ("no threshold is known: `jidoka model calibrate BUNDLE GOOD_PICTURES` finds one",)
        )
        return Guess(
            AnomalyHead(normalised=normalised), 0, SURE, evidence, "anomalib", unsure=unsure, size_px=(256, 256)
        )
    scores = [n for n, s in shapes.items() if s in {(1,), (1, 1), ()}]
    maps = [n for n, s in shapes.items() if len(s) in {3, _RANK_MAPS} and s[-1] > 1 and s[:-2] in {(1,), (1, 1)}]
    if len(shapes) == 2 and scores and maps:  # noqa: PLR2004  (a score and a map)
        evidence = (f"a map {shown(shapes[maps[0]])} and one number: an anomaly map and its score",)
        unsure = ("no threshold is known: `jidoka model calibrate BUNDLE GOOD_PICTURES` finds one",)
        return Guess(AnomalyHead(), 0, FAIR, evidence, "anomalib", unsure=unsure, size_px=(256, 256))
    return None


def reconstruction(facts: Facts) -> Guess | None:
    """One output of the input's own shape."""
    probe = facts.signature.probe_shape
    if not probe or facts.only != tuple(probe) or facts.channels not in {1, 3}:
        return None
    output = facts.outputs[0]
    evidence = [f"the output has the input's own shape, {shown(facts.only)}: a reconstruction"]
    unsure = [
        "an autoencoder's picture is taken for granted; one that enhances pictures (denoising, style) looks the same",
        "no threshold is known: `jidoka model calibrate BUNDLE GOOD_PICTURES` finds one",
    ]
    changes: dict[str, object] = {}
    end = facts.ends.get(output.name, "")
    if end == "sigmoid":
        evidence.append("it ends in a sigmoid: pixels are 0..1")
    elif end == "tanh":
        evidence.append("it ends in a tanh: pixels are -1..1")
        changes = {"mean": (0.5,), "std": (0.5,)}
    else:
        unsure.append("whether pixels are 0..1 or -1..1 is not in the file: 0..1 is taken")
    sure = LIKELY if end == "sigmoid" else FAIR
    return Guess(
        ReconstructionHead(), 0, sure, tuple(evidence), "autoencoder", unsure=tuple(unsure), input_changes=changes
    )


def label_map(facts: Facts) -> Guess | None:
    """Class numbers a pixel: whole numbers of the input's size."""
    shape = facts.only
    if not shape or not facts.height or not _is_map(facts, shape):
        return None
    output = facts.outputs[0]
    whole = "int" in output.type or facts.ends.get(output.name) == "argmax"
    if not whole:
        return None
    evidence: tuple[str, ...] = (f"whole numbers {shown(shape)} from an argmax: the class of each pixel",)
    unsure: tuple[str, ...] = ("how many classes there are is not in the file: name them with --labels",)
    paddle = "paddle" in facts.producer
    n = facts.argmax_over
    if n:
        evidence = (*evidence, f"the argmax is over {n} classes")
        unsure = ()
    background = 0 if not n or n in _BACKGROUND_FIRST else None
    count = (n - (background is not None)) if n else 20
    return Guess(
        LabelMapHead(background=background), max(1, count), FAIR, evidence,
        "paddle-segment" if paddle else "torch-segment", unsure=unsure,
    )  # fmt: skip


def _is_map(facts: Facts, shape: tuple[int, ...]) -> bool:
    inner = [d for d in shape if d > 1]
    if len(inner) != 2:  # noqa: PLR2004  (height and width)
        return False
    ratio_h, ratio_w = facts.height / inner[0], facts.width / inner[1]
    return 0.9 < ratio_h <= _COARSEST and abs(ratio_h - ratio_w) < 0.1  # noqa: PLR2004  (equally coarse)


def segmentation(facts: Facts) -> Guess | None:
    """One map a class at the input's size or a whole fraction of it, NCHW or NHWC; the first where there are several
    (auxiliary heads, deep supervision).
    """
    if not facts.height:
        return None
    maps = [(o, tuple(d or 0 for d in o.shape)) for o in facts.outputs]
    first = [(o, s) for o, s in maps if len(s) == _RANK_MAPS and s[0] == 1]
    if not first or len(first) != len(maps):
        return None
    output, shape = first[0]
    if len({s[1:] for _, s in first}) > 1 and shape[2:] != max(s[2:] for _, s in first):
        return None
    found = _classes(facts, shape)
    if found is None or _no_classes(output, [s for _, s in first], found[1]):
        return None
    n, layout = found
    applied = facts.applied(output.name)
    activation: Activation = "none" if applied else "sigmoid" if n == 1 else "softmax"
    evidence = [
        f"{n} map{'s' * (n > 1)} {shown(shape)}, {layout.upper()}, over the input of {facts.width} x {facts.height}"
    ]
    evidence.append(
        f"values are 0..1 already ({applied})" if applied else f"values are logits, {activation} is applied"
    )
    unsure: list[str] = []
    if n == 1 and not applied and any(w in f"{output.name} {facts.name}".lower() for w in _DEPTH_WORDS):
        return None
    background = 0 if n in _BACKGROUND_FIRST else None
    if n == 1 and applied != "sigmoid" and output.high > 1.0:
        unsure.append("one map that is not 0..1 may also be a depth or another measure")
    elif n > 1 and n not in _BACKGROUND_FIRST | _NO_BACKGROUND:
        background = 0
        unsure.append("channel 0 is taken for background: if it is a class, set output.background to none by editing")
    elif n in _BACKGROUND_FIRST:
        evidence.append(f"{n} channels: channel 0 is background")
    head = SegmentHead(
        output=output.name if len(first) > 1 else "",
        activation=activation,
        background=background,
        exclusive=True if n > 1 else None,
        layout=layout,
    )
    prior = _prior(facts, n)
    if len({s[1 if layout == "nchw" else 3] for _, s in first}) > 1:
        unsure.append(
            "other maps are not read: with them it may be no segmentation (key points and their descriptors, say)"
        )
    sure = FAIR if unsure else LIKELY if n in _BACKGROUND_FIRST | _NO_BACKGROUND or (n == 1 and applied) else FAIR
    label_set = {21: "voc-20", 19: "cityscapes-19"}.get(n, "")
    labels = n - (background is not None)
    return Guess(head, max(1, labels), sure, tuple(evidence), prior, label_set=label_set, unsure=tuple(unsure),
                 thresholds={"score": 0.5} if n == 1 else {})  # fmt: skip


def _no_classes(output: Tensor, shapes: list[tuple[int, ...]], layout: Layout) -> bool:
    """Pictures that are given back (brightened, say), and grids of boxes and scores (MTCNN): several maps, of one size,
    that differ in how many channels they have.
    """
    axis = 1 if layout == "nchw" else 3
    counts = {s[axis] for s in shapes if [d for i, d in enumerate(s) if i != axis]
              == [d for i, d in enumerate(shapes[0]) if i != axis]}  # fmt: skip
    picture = output.high > _NO_LOGIT and output.low > -1.0 and shapes[0][axis] > 1
    return picture or len(counts - {1}) > 1


def _prior(facts: Facts, n: int) -> str:
    if facts.layout == "nhwc" or facts.producer in {"tf2onnx", "keras"}:
        return "tf-segment" if n == _VOC else "nhwc-segment"
    if "paddle" in facts.producer:
        return "paddle-segment"
    if n == 1 and any(w in " ".join([facts.name, *facts.shapes]).lower() for w in ("modnet", "matte", "alpha")):
        return "matting"
    return "torch-segment"


def _classes(facts: Facts, shape: tuple[int, ...]) -> tuple[int, Layout] | None:
    """Number of classes and layout; None where this is no map over the input."""
    places: dict[Layout, tuple[int, int, int]] = {
        "nchw": (shape[1], shape[2], shape[3]),
        "nhwc": (shape[3], shape[1], shape[2]),
    }
    for layout, (n, h, w) in places.items():
        if not 1 <= n <= _MAX_CLASSES or not h or not w or min(h, w) < _COARSEST:
            continue
        ratio_h, ratio_w = facts.height / h, facts.width / w
        # Odd sizes (257, 513, 65) are brought down with one pixel more than the half.
        if max(ratio_h, ratio_w) <= _COARSEST + 0.5 and abs(ratio_h - ratio_w) < 0.1 and min(ratio_h, ratio_w) > 0.45:  # noqa: PLR2004
            return n, layout
    return None


def depth(facts: Facts) -> Guess | None:
    """One map without classes: MiDaS, Depth Anything. Its numbers are not findings."""
    shape = facts.only
    names = f"{facts.name} {' '.join(facts.shapes)}".lower()
    if not shape or not facts.height:
        return None
    flat = len(shape) == 3 and shape[0] == 1 and _is_map(facts, shape)  # noqa: PLR2004  (no axis of channels)
    if not (flat or any(w in names for w in _DEPTH_WORDS)):
        return None
    evidence = (f"one map {shown(shape)} without an axis of classes: depth or another measure",)
    unsure = ("what the map measures is not in the file; its numbers are given raw",)
    return Guess(RawHead(), 0, FAIR, evidence, "midas", unsure=unsure, size_px=(256, 256))


def raw(facts: Facts) -> Guess | None:
    """What nothing else recognises: the numbers as they are."""
    if not facts.outputs or not facts.height:
        return None
    seen = "; ".join(f"{n} {shown(s)}" for n, s in list(facts.shapes.items())[:8])
    unsure = (
        "what the output means cannot be told: its numbers are given raw. Set output.head, or write a plug-in head",
    )
    return Guess(RawHead(), 0, POOR / 2, (f"seen: {seen}",), "unknown", unsure=unsure)
