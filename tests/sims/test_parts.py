from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.parts import KINDS, REJECT_SIZE_MM, Defect, Part, grade, is_reject, make_parts, visible_size_mm


def defect(kind: str = "scratch", size_mm: float = 20.0, contrast: float = 0.6) -> Defect:
    return Defect(kind, size_mm, contrast, 0.0, 0.0, 0.3, 1)  # type: ignore[arg-type]


@given(st.integers(0, 30), st.integers(0, 2**31), st.floats(0, 1))
def test_a_longer_list_begins_with_the_shorter_one(n: int, seed: int, rate: float) -> None:
    longer = make_parts(n + 5, seed, rate)
    assert longer[:n] == make_parts(n, seed, rate)
    assert [p.part_id for p in longer] == list(range(1, n + 6))


def test_another_seed_gives_other_parts() -> None:
    assert make_parts(5, 1) != make_parts(5, 2)


@given(st.integers(0, 2**31), st.floats(0.5, 3.0))
def test_defects_lie_on_the_plate_and_apart(seed: int, severity: float) -> None:
    for part in make_parts(5, seed, 1.0, severity=severity):
        assert 0 <= len(part.defects) <= 3
        for d in part.defects:
            assert abs(d.x_mm) <= part.length_mm / 2
            assert abs(d.y_mm) <= part.width_mm / 2
            on_edge = math.isclose(abs(d.x_mm), part.length_mm / 2) or math.isclose(abs(d.y_mm), part.width_mm / 2)
            assert on_edge == (d.kind == "chip")
            others = [o for o in part.defects if o is not d]
            assert all(math.hypot(d.x_mm - o.x_mm, d.y_mm - o.y_mm) > (d.size_mm + o.size_mm) / 2 for o in others)


@given(st.sampled_from(KINDS), st.floats(0.1, 40), st.floats(0, 1), st.floats(0, 1))
def test_more_contrast_never_makes_a_defect_smaller(kind: str, size_mm: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= visible_size_mm(defect(kind, size_mm, low)) <= visible_size_mm(defect(kind, size_mm, high)) <= size_mm


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_itself_is_a_reject_and_no_contrast_never_is(kind: str) -> None:
    limit = REJECT_SIZE_MM[kind]
    assert is_reject(defect(kind, limit, 1.0))
    assert not is_reject(defect(kind, limit * 0.999, 1.0))
    assert not is_reject(defect(kind, 40.0, 0.0))


def test_a_part_is_as_bad_as_its_worst_defect() -> None:
    weak, strong = defect(contrast=0.12, size_mm=3.0), defect(contrast=0.7)
    assert grade(Part(1, 1, 80, 60)) == "good"
    assert grade(Part(1, 1, 80, 60, (weak,))) == "borderline"
    assert grade(Part(1, 1, 80, 60, (weak, strong))) == "reject"


def test_the_continuum_runs_from_invisible_to_gross_in_every_kind() -> None:
    defects = [d for p in make_parts(2000, 11, 1.0) for d in p.defects]
    for kind in KINDS:
        shares = sorted(visible_size_mm(d) / REJECT_SIZE_MM[kind] for d in defects if d.kind == kind)
        assert len(shares) > 300
        assert shares[0] == 0.0
        assert shares[-1] > 2.5
        for low, high in ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.5)):
            assert sum(low < s <= high for s in shares) > 15, (kind, low)
    assert 0.35 < sum(map(is_reject, defects)) / len(defects) < 0.65


def test_rate_kinds_and_severity_are_obeyed() -> None:
    assert all(grade(p) == "good" for p in make_parts(50, 3, 0.0))
    share = sum(bool(p.defects) for p in make_parts(1000, 3, 0.3)) / 1000
    assert 0.25 < share < 0.35
    assert {d.kind for p in make_parts(50, 3, 1.0, kinds=("pit",)) for d in p.defects} == {"pit"}
    rejects = [sum(grade(p) == "reject" for p in make_parts(300, 3, 1.0, severity=s)) for s in (0.5, 1.0, 2.0)]
    assert rejects == sorted(rejects)
    assert rejects[0] < rejects[2]


@pytest.mark.parametrize("wrong", [{"n": -1}, {"defect_rate": 1.5}, {"severity": 0.0}, {"kinds": ()}])
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    arguments: dict[str, object] = {"n": 3, "seed": 1} | wrong
    with pytest.raises(ValueError, match="make_parts"):
        make_parts(**arguments)  # type: ignore[arg-type]
