"""Maps to regions, against a pixel-by-pixel reference with a flood fill."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge.vision import heads
from edge.vision.conventions import SegmentHead
from edge.vision.geometry import fit
from edge.vision.maps import regions_of
from edge.vision.spec import InputSpec, Thresholds


def plain_value(cells, geometry, x, y):
    """Bilinear interpolation at the centre of frame pixel (x, y)."""
    height, width = cells.shape
    u = ((x + 0.5) * geometry.scale_x + geometry.offset_x) * width / geometry.input_width_px - 0.5
    v = ((y + 0.5) * geometry.scale_y + geometry.offset_y) * height / geometry.input_height_px - 0.5
    if not (-0.5 < u < width - 0.5 and -0.5 < v < height - 0.5):
        return 0.0  # cropped away: the model never saw it
    u, v = min(max(u, 0), width - 1), min(max(v, 0), height - 1)
    i, j = min(int(u), width - 2) if width > 1 else 0, min(int(v), height - 2) if height > 1 else 0
    right, below = min(i + 1, width - 1), min(j + 1, height - 1)
    a, b = u - i, v - j
    upper = cells[j, i] * (1 - a) + cells[j, right] * a
    lower = cells[below, i] * (1 - a) + cells[below, right] * a
    return float(upper * (1 - b) + lower * b)


def flood(inside):
    """Connected sets of pixels, 8 neighbours each."""
    left, groups = set(inside), []
    while left:
        stack, group = [left.pop()], set()
        while stack:
            x, y = stack.pop()
            group.add((x, y))
            for near in [(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    stack.append(near)
        groups.append(group)
    return groups


def plain_regions(maps, limits, geometry, *, background, exclusive, min_area_px):
    width, height = geometry.frame_width_px, geometry.frame_height_px
    values = {
        (c, x, y): plain_value(maps[c], geometry, x, y)
        for c in range(len(maps))
        for x in range(width)
        for y in range(height)
    }
    found = []
    cells = [(j, i) for j in range(maps.shape[1]) for i in range(maps.shape[2])]
    present = {max(range(len(maps)), key=lambda c: (maps[c][cell], -c)) for cell in cells}
    counted = background is None or len(maps) == len(limits)
    for channel in (c for c in range(len(maps)) if c != background):
        label = channel if counted or channel < background else channel - 1
        if exclusive and channel not in present:
            continue
        inside = []
        for x in range(width):
            for y in range(height):
                value = values[channel, x, y]
                # A pixel this near to a limit may fall on either side of it in float32.
                assume(abs(value - limits[label]) > 1e-5)
                rivals = [values[c, x, y] for c in present if c != channel] if exclusive else []
                assume(all(abs(value - r) > 1e-5 for r in rivals))
                if value >= limits[label] and all(value > r for r in rivals):
                    inside.append((x, y))
        for group in flood(inside):
            if len(group) >= min_area_px:
                xs, ys = [p[0] for p in group], [p[1] for p in group]
                box = (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
                found.append((label, len(group), box, max(values[channel, x, y] for x, y in group)))
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(4, 22),
    st.integers(4, 22),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["letterbox", "stretch", "crop"]),
    st.integers(0, 10_000),
)
def test_regions_are_those_of_the_reference(c, mh, mw, w, h, exclusive, with_background, how, seed):
    rng = np.random.default_rng(seed)
    background = int(rng.integers(0, c + 1)) if with_background else None
    channels = c + with_background
    named = with_background and bool(rng.integers(0, 2))
    maps = rng.uniform(0, 1, (channels, mh, mw)).astype(np.float32)
    maps[rng.uniform(size=maps.shape) < 0.4] *= 0.1
    limits = rng.uniform(0.3, 0.7, c + named).astype(np.float32)
    geometry = fit(InputSpec(width_px=mw * 4, height_px=mh * 4, fit=how), w, h)
    options = {"background": background, "exclusive": exclusive, "min_area_px": float(rng.integers(0, 4))}
    expected = plain_regions(maps, limits, geometry, **options)
    found = regions_of(maps, limits, geometry, **options)
    rows = zip(
        found.label_ids.tolist(),
        found.areas_px.tolist(),
        map(tuple, found.boxes.tolist()),
        found.scores.tolist(),
        strict=True,
    )
    got = sorted(rows)
    assert [g[:3] for g in got] == [e[:3] for e in sorted(expected)]
    np.testing.assert_allclose([g[3] for g in got], [e[3] for e in sorted(expected)], atol=1e-5)
    assert (np.diff(found.scores) <= 0).all()
    for polygon, box in zip(found.polygons, found.boxes, strict=True):
        assert len(polygon) >= 3 and polygon.dtype == np.float32
        assert (polygon >= box[:2]).all() and (polygon <= box[2:]).all()


def test_a_disc_keeps_its_area_at_four_times_the_resolution():
    yy, xx = np.mgrid[:80, :80]
    distance = np.hypot(xx + 0.5 - 40.3, yy + 0.5 - 37.8)
    maps = np.clip((20 - distance) * 0.1 + 0.5, 0, 1)[None].astype(np.float32)  # 0.5 at radius 20 cells
    geometry = fit(InputSpec(width_px=320, height_px=320, fit="stretch"), 320, 320)
    found = regions_of(maps, np.array([0.5], np.float32), geometry)
    assert found.areas_px[0] == pytest.approx(math.pi * 80**2, rel=0.005)
    assert found.boxes[0].tolist() == pytest.approx([81.2, 71.2, 241.2, 231.2], abs=1.5)
    outline = found.polygons[0]
    assert cv2.contourArea(outline) == pytest.approx(math.pi * 80**2, rel=0.02)


def test_a_region_inside_the_hole_of_another_has_its_own_outline():
    maps = np.zeros((1, 9, 9), np.float32)
    maps[0, 1:8, 1:8], maps[0, 2:7, 2:7], maps[0, 4, 4] = 0.9, 0, 0.8
    geometry = fit(InputSpec(width_px=9, height_px=9, fit="stretch"), 9, 9)
    found = regions_of(maps, np.array([0.5], np.float32), geometry)
    assert found.areas_px.tolist() == [24, 1]
    assert found.polygons[1].tolist() == [[4, 4], [5, 4], [5, 5], [4, 5]]


def test_the_smallest_and_weakest_are_left_out_and_counted():
    maps = np.zeros((1, 4, 40), np.float32)
    maps[0, 1, ::4] = np.linspace(0.55, 0.95, 10)
    geometry = fit(InputSpec(width_px=40, height_px=4, fit="stretch"), 40, 4)
    found = regions_of(maps, np.array([0.5], np.float32), geometry, max_regions=3)
    assert found.dropped == 7
    np.testing.assert_allclose(found.scores, np.linspace(0.95, 0.55, 10)[:3], rtol=1e-5)
    assert len(regions_of(maps, np.array([0.5], np.float32), geometry, min_area_px=2).scores) == 0


def test_the_head_applies_activation_areas_in_mm2_and_background():
    logits = np.full((1, 3, 8, 8), -4, np.float32)
    logits[0, 0] = 0
    logits[0, 2, 2:4, 2:6] = 6
    labels = ("pit", "scratch")
    thresholds = Thresholds(score=0.5, min_area_mm2=1.9)
    geometry = fit(InputSpec(width_px=8, height_px=8, fit="stretch"), 8, 8)

    def decode(mm_per_px):
        limits = heads.limits_of(labels, thresholds)
        head = SegmentHead(activation="softmax", background=0)
        return heads.decode(head, {"o": logits}, heads.Context(geometry, labels, thresholds, limits, mm_per_px))

    found = decode(0.5)
    assert found.names == ["scratch"] and found.areas_px.tolist() == [8]
    assert found.areas_mm2.tolist() == [2.0]
    assert found.scores[0] == pytest.approx(math.exp(6) / (math.exp(6) + 1 + math.exp(-4)), rel=1e-5)
    assert len(decode(0.4)) == 0  # 8 px are 1.28 mm²
    assert len(decode(None)) == 1  # nothing is known of mm
