"""A profile is used where it was measured, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest
from msgspec.structs import replace

from edge.errors import ModelError
from edge.models import guard
from edge.models.bundle import BareFile
from edge.models.loading import load
from edge.models.tuning import profile
from edge.models.tuning.machine import Machine, this_machine
from edge.models.tuning.plan import Plan, Wish, plan_of
from edge.models.tuning.profile import Figures, Profile
from edge.models.tuning.way import Way
from tests.models import graphs

SHA = "a" * 64
FILE = BareFile("m", b"", SHA)
FIGURES = Figures(fps=100, p50_ms=9, p99_ms=12, cpu_ms=10, memory_mb=30, ratio=1.9)
X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9
flags\t\t: fpu sse2 avx2 avx512f avx512_vnni

processor\t: 1
model name\t: another
"""
ARM = """processor\t: 0
Features\t: fp asimd asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "guard"


def made(**changes):
    return replace(Profile(sha256=SHA, way=Way(workers=2), machine=this_machine(), figures=FIGURES), **changes)


def test_what_the_kernel_says_of_a_processor(tmp_path):
    (tmp_path / "x86").write_text(X86)
    (tmp_path / "arm").write_text(ARM)
    x86, arm = this_machine(tmp_path / "x86"), this_machine(tmp_path / "arm")
    assert (x86.cpu, x86.flags, x86.multiplies_int8) == ("AMD EPYC 9", ("avx2", "avx512f", "avx512_vnni"), True)
    assert (arm.cpu, arm.flags, arm.multiplies_int8) == (
        "ARM implementer 0x41 part 0xd0b",
        ("asimd", "asimddp"),
        True,
    )
    unknown = this_machine(tmp_path / "absent")
    assert unknown.flags == ()
    assert unknown.cores >= 1


def test_it_is_kept_and_found_again(cache):
    one = made()
    profile.keep(one, cache)
    assert profile.recall(SHA, cache) == one
    assert profile.recall("b" * 64, cache) is None
    assert plan_of(FILE, Wish("auto"), cache) == Plan("", Way(workers=2))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 2}', b"x" * 100_000])
def test_a_damaged_one_is_as_good_as_none(cache, content):
    path = profile.keep(made(), cache)
    path.write_bytes(content)
    assert plan_of(FILE, Wish("auto"), cache) == Plan()


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"cpu": "another"}, "measured on another"),
        ({"flags": ("avx2", "never")}, "instructions"),
        ({"cores": 4711}, "4711 cores"),
        ({"runtime": "0.1"}, "ONNX Runtime 0.1"),
    ],
)
def test_one_of_another_machine_or_runtime_is_not_used_and_said(cache, changed, word):
    profile.keep(made(machine=replace(this_machine(), **changed)), cache)
    plan = plan_of(FILE, Wish("auto"), cache)
    assert (plan.variant, plan.way) == ("", Way())
    (note,) = plan.notes
    assert word in note
    assert "jidoka model bench" in note


def test_openvino_counts_only_where_it_was_chosen():
    older = replace(this_machine(), openvino="0.1")
    assert not made(machine=older).differs(this_machine())
    assert "OpenVINO 0.1" in made(machine=older, way=Way(engine="openvino")).differs(this_machine())


def test_what_the_settings_say_goes_before(cache):
    profile.keep(made(way=Way(workers=1, intra=2, spinning=True)), cache)
    assert plan_of(FILE, Wish("auto"), cache).way == Way(intra=2, spinning=True)
    assert plan_of(FILE, Wish("auto", 2), cache).way == Way(workers=2)
    assert plan_of(FILE, Wish("original", 3), cache).way == Way(workers=3)
    with pytest.raises(ModelError) as error:
        plan_of(FILE, Wish("int8"), cache)
    assert error.value.code == "MODEL_VARIANT_UNKNOWN"


def test_a_variant_that_the_bundle_does_not_have_is_not_taken(cache):
    profile.keep(made(variant="int8", variant_sha256="c" * 64), cache)
    plan = plan_of(FILE, Wish("auto"), cache)
    assert plan.variant == ""
    assert "does not have any more" in plan.notes[0]


def test_a_loaded_model_says_how_it_was_planned(tmp_path):
    model = graphs.darkness(tmp_path / "m.onnx")
    cache = tmp_path / "guard"
    found = load(model, cache=cache)
    assert found.plan == Plan()
    profile.keep(made(sha256=found.ref.sha256), cache)
    assert load(model, cache=cache).plan == Plan()
    assert load(model, cache=cache, wish=Wish("auto"), min_score=0.4).plan.way.workers == 2


def test_profiles_lie_beside_the_guards_results():
    assert profile.folder() == guard.cache_folder().parent / "profiles"


def test_what_a_developer_measured_is_not_seen_here_nor_by_what_tests_start():
    where = guard.cache_folder()
    assert ".pytest_cache" in where.parts
    said = "from edge.models.guard import cache_folder; print(cache_folder())"
    child = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, check=True, env=os.environ.copy()
    )
    assert child.stdout.strip() == str(where)


def test_the_machine_survives_json():
    here = this_machine()
    assert msgspec.json.decode(msgspec.json.encode(here), type=Machine) == here
