"""Reading heads against plain versions of what they are exported for."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ModelError
from edge.vision import heads
from edge.vision.conventions import CodesHead, CtcHead, TextBoxesHead
from edge.vision.geometry import fit
from edge.vision.heads.ctc import read
from edge.vision.heads.text_boxes import from_top_left, reading_order
from edge.vision.spec import InputSpec, Thresholds


def context(frame, spec, labels=("text",), score=0.5):
    thresholds = Thresholds(score=score)
    return heads.Context(fit(spec, *frame), labels, thresholds, heads.limits_of(labels, thresholds))


FREE = InputSpec(width_px=320, height_px=320, follow="size")


def plain_ctc(steps, characters):
    """Word by word as the paper says: likeliest path, repetitions merged, blanks removed."""
    path = [max(range(len(step)), key=step.__getitem__) for step in steps]
    runs = [(key, next(iter(run))) for key, run in itertools.groupby(range(len(path)), key=lambda t: path[t]) if key]
    text = "".join(characters[key - 1] for key, _ in runs)
    return text, sum(steps[t][key] for key, t in runs) / len(runs) if runs else 0.0


@given(st.integers(0, 40), st.integers(2, 9), st.integers(0, 9999))
def test_ctc_reads_what_the_plain_way_reads(n, classes, seed):
    rng = np.random.default_rng(seed)
    # Coarse numbers make equal neighbours, and so repetitions, likely.
    steps = rng.integers(0, 4, (n, classes)).astype(np.float32) / 4
    characters = tuple("abcdefgh"[: classes - 1])
    text, score = read(steps, characters)
    wanted, wanted_score = plain_ctc(steps.tolist(), characters)
    assert text == wanted
    assert score == pytest.approx(wanted_score, abs=1e-6)


def test_ctc_layouts_and_the_place_of_the_blank():
    path = [1, 1, 0, 1, 2]
    steps = np.eye(3, dtype=np.float32)[path]
    spec = InputSpec(width_px=320, height_px=48, follow="width")
    for layout, output in (("ntc", steps[None]), ("tnc", steps[:, None]), ("nct", steps.T[None])):
        head = CtcHead(layout=layout, characters="ab")
        found = heads.decode(head, {"o": output}, context((100, 20), spec))
        assert (found.texts, found.task) == (("aab",), "ocr")
        assert found.quads.tolist() == [[[0, 0], [100, 0], [100, 20], [0, 20]]]
    last = CtcHead(characters="ab", blank="last")
    assert heads.decode(last, {"o": np.roll(steps, 2, 1)[None]}, context((9, 9), spec)).texts == ("aab",)
    with pytest.raises(ModelError, match="2 characters and the blank"):
        heads.decode(CtcHead(characters="ab"), {"o": np.zeros((1, 5, 7), np.float32)}, context((9, 9), spec))


def test_ctc_below_its_threshold_and_blanks_read_nothing():
    spec = InputSpec(width_px=320, height_px=48, follow="width")
    steps = np.full((1, 4, 2), 0.4, np.float32)
    steps[..., 1] = 0.45
    assert len(heads.decode(CtcHead(characters="a"), {"o": steps}, context((9, 9), spec))) == 0
    steps[..., 0] = 1
    assert len(heads.decode(CtcHead(characters="a"), {"o": steps}, context((9, 9), spec))) == 0


def plain_boxes(chances, level=0.3, least=0.5, unclip=1.6):
    """The way of PaddleOCR's db_postprocess.py; a rectangle is grown by moving its four sides outwards one by one."""
    contours, _ = cv2.findContours((chances > level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        box = cv2.boxPoints(cv2.minAreaRect(contour))
        inside = np.zeros(chances.shape, np.uint8)
        cv2.fillPoly(inside, [box.astype(np.int32)], 1)
        score = chances[inside == 1].mean()
        sides = [np.linalg.norm(box[i] - box[(i + 1) % 4]) for i in range(4)]
        if min(sides) < 3 or score < least:
            continue
        distance = sides[0] * sides[1] * unclip / sum(sides)
        grown = []
        for i in range(4):
            to_before, to_after = box[i] - box[i - 1], box[i] - box[(i + 1) % 4]
            grown.append(
                box[i] + distance * (to_before / np.linalg.norm(to_before) + to_after / np.linalg.norm(to_after))
            )
        found.append((np.array(grown) + 0.5, score))
    return found


@given(st.integers(0, 9999))
def test_text_boxes_are_those_of_the_plain_way(seed):
    rng = np.random.default_rng(seed)
    chances = np.zeros((192, 320), np.float32)
    for i in range(4):
        centre = (float(40 + 75 * i), float(rng.uniform(60, 130)))
        box = cv2.boxPoints((centre, (rng.uniform(20, 50), rng.uniform(8, 16)), rng.uniform(-20, 20)))
        cv2.fillPoly(chances, [np.int32(box)], float(rng.uniform(0.4, 1.0)))
    found = heads.decode(TextBoxesHead(), {"o": chances[None, None]}, context((320, 192), FREE))
    wanted = plain_boxes(chances)
    assert len(found) == len(wanted)
    for corners, score in wanted:
        nearest = np.abs(found.quads.mean(axis=1) - corners.mean(axis=0)).sum(axis=1).argmin()
        apart = np.linalg.norm(found.quads[nearest][:, None] - corners[None], axis=2).min(axis=1)
        assert apart.max() < 0.02  # px: far better than an IoU of 0.99
        assert found.scores[nearest] == pytest.approx(score, abs=0.01)


def test_text_boxes_noise_and_nonsense_end():
    noise = np.random.default_rng(0).random((1, 1, 320, 320)).astype(np.float32)
    assert len(heads.decode(TextBoxesHead(), {"o": noise}, context((320, 320), FREE))) <= 300
    nothing = np.full((1, 1, 32, 32), np.nan, np.float32)
    assert len(heads.decode(TextBoxesHead(), {"o": nothing}, context((32, 32), FREE))) == 0
    # A strip is one line, however little the map knows of it.
    strip = heads.decode(TextBoxesHead(), {"o": nothing}, context((700, 30), FREE))
    assert strip.boxes.tolist() == [[0, 0, 700, 30]]


@given(st.floats(-40, 40), st.floats(4, 60), st.floats(2, 3), st.integers(0, 3), st.booleans())
def test_a_quad_begins_at_its_upper_left(angle, height, ratio, shift, mirrored):
    box = np.array([[0, 0], [ratio * height, 0], [ratio * height, height], [0, height]], np.float32)
    radians = np.deg2rad(angle)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    upright = (box @ turn + 200).astype(np.float32)
    shuffled = np.roll(upright, shift, axis=0)[:: -1 if mirrored else 1]
    assert from_top_left(shuffled[None])[0] == pytest.approx(upright, abs=1e-3)


def test_reading_order_is_line_by_line():
    def quad(x, y, w=40, h=10):
        return [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]

    quads = np.array([quad(60, 12), quad(0, 10), quad(0, 30), quad(60, 28), quad(0, 46)], np.float32)
    assert reading_order(quads).tolist() == [1, 0, 2, 3, 4]
    assert reading_order(np.empty((0, 4, 2), np.float32)).tolist() == []


def test_codes_keep_their_texts_and_formats():
    outputs = {
        "texts": np.array(["a", "b"], object),
        "formats": np.array(["QRCode", "Strange"], object),
        "quads": np.array([[[0, 0], [9, 0], [9, 9], [0, 9]]] * 2, np.float32),
    }
    found = heads.decode(CodesHead(), outputs, context((20, 20), FREE, labels=("QRCode",)))
    assert (found.texts, found.formats, found.names, found.dropped) == (("a",), ("QRCode",), ["QRCode"], 1)
