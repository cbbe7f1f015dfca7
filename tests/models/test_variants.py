"""Variants: made from a bundle and pictures, held against the original, kept only where they agree, and used as such."""

from __future__ import annotations

from dataclasses import replace as replaced

import cv2
import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import helper

from edge.errors import InputError, ModelError
from edge.models import bundle
from edge.models.bundle import About, Golden
from edge.models.checking import check
from edge.models.loading import load
from edge.models.tuning import profile
from edge.models.tuning.machine import this_machine
from edge.models.tuning.plan import Wish
from edge.models.tuning.profile import Figures, Profile
from edge.models.tuning.way import Way
from edge.models.variants import nodes
from edge.models.variants.making import Material, Search, put, row_for
from edge.models.variants.reading import with_variant
from edge.models.variants.recipes import Recipe, prepared, recipes_for
from edge.models.variants.table import Agreed, Variant
from edge.vision.conventions import ClassifyHead
from edge.vision.spec import Thresholds, Tiling
from tests.models.quantizable import SIDE, layered, manifest, picture, three_layers

AGREED = Agreed(figure="all", value=0.99, least=0.95, pictures=4, held_out=1)


MATERIAL = Material(picture, 8)


@pytest.fixture
def made(tmp_path):
    return bundle.write(tmp_path / "b", manifest(), three_layers(tmp_path / "m.onnx"))


def search(found, least=0.95, material=MATERIAL):
    return Search(found, material, this_machine(), least)


def quantized(found):
    work = search(found)
    for recipe in work.recipes("conv", "auto")[0]:
        work.run(recipe)
    best = work.best()
    assert best is not None, [one.error or one.compared for one in work.tried]
    row = row_for(found, best, 0.95, this_machine(), "int8")
    return bundle.read(put(found, row, best.data))


def test_a_variant_agrees_and_runs_in_the_bundle(made, cache):
    found = quantized(made)
    (row,) = found.manifest.variant
    assert row.agreement.value >= 0.95
    assert row.agreement.held_out == 2
    assert row.of == made.sha256
    small = onnx.load_from_string(with_variant(found, "int8").onnx)
    assert "QuantizeLinear" in {node.op_type for node in small.graph.node}
    assert "variant int8" in [step.step for step in check(found.folder, cache=cache).steps]
    predictor = load(found.folder, cache=cache, wish=Wish("int8"))
    assert predictor.ref.sha256 == row.sha256 != load(found.folder, cache=cache).ref.sha256
    assert predictor(picture(3)).names == load(found.folder, cache=cache)(picture(3)).names


def test_one_scale_for_loud_and_quiet_is_refused_and_the_last_layer_left_alone_is_not(tmp_path):
    found = bundle.write(tmp_path / "b", manifest(), three_layers(tmp_path / "m.onnx", loud=-2000.0))
    work = search(found)
    (conv,), (ends,), *_ = work.recipes("conv", "minmax")
    assert not work.run(conv).agrees(0.95)
    error = work.refusal()
    assert error.code == "MODEL_VARIANT_DISAGREES"
    assert "0.95" in str(error)
    assert work.best() is None
    assert work.run(ends).agrees(0.95)


def test_pictures_that_show_nothing_say_nothing(made):
    white = Material(lambda _: np.full((SIDE, SIDE, 3), 255, np.uint8), 4)
    work = search(made, material=white)
    work.run(work.recipes("conv", "minmax")[0][0])
    assert work.best() is None
    assert work.refusal().code == "CALIBRATION_SAYS_NOTHING"


def test_a_model_that_looks_in_tiles_is_made_from_tiles(made):
    tiling = Tiling(width_px=16, height_px=16, overlap=0.0)
    work = search(replaced(made, manifest=replace(made.manifest, tiling=tiling)))
    shown = [image for _, image in work.material.images()]
    assert {image.shape for image in shown} == {(16, 16, 3)}
    np.testing.assert_array_equal(shown[1], picture(1)[:16, 16:])


def test_three_pictures_are_too_few(made):
    with pytest.raises(InputError) as error:
        search(made, material=Material(picture, 3)).recipes("auto", "auto")
    assert error.value.code == "CALIBRATION_TOO_FEW"


def test_a_dead_variant_is_refused_by_the_guard(made, cache):
    model = onnx.load_from_string(made.onnx)
    model.graph.node.append(helper.make_node("Mul", ["output0", "nought"], ["z"]))
    model.graph.node.append(helper.make_node("Add", ["z", "nought"], ["end"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0), "nought"))
    model.graph.output[0].name = "end"
    data = model.SerializeToString()
    row = Variant(name="int8", sha256=bundle.sha256_of(data), of=made.sha256, how="by hand", agreement=AGREED)
    found = bundle.read(put(made, row, data))
    with pytest.raises(ModelError) as error:
        load(found.folder, cache=cache, wish=Wish("int8"))
    assert error.value.code == "MODEL_DEAD"


def put_copy(made, **changes):
    """A variant that is the original itself, with another row."""
    data = made.onnx
    row = Variant(name="int8", sha256=made.sha256, of=made.sha256, how="a copy", agreement=AGREED)
    return bundle.read(put(made, replace(row, **changes), data))


@pytest.mark.parametrize(
    ("changes", "code"), [({"of": "0" * 64}, "MODEL_VARIANT_STALE"), ({"sha256": "0" * 64}, "MODEL_CHECKSUM")]
)
def test_one_that_was_made_of_another_model_or_changed_is_refused(made, changes, code):
    found = put_copy(made, **changes)
    with pytest.raises(ModelError) as error:
        with_variant(found, "int8")
    assert error.value.code == code


def test_one_that_is_not_there_is_named_with_those_that_are(made):
    with pytest.raises(ModelError) as error:
        with_variant(put_copy(made), "int4")
    assert error.value.code == "MODEL_VARIANT_UNKNOWN"
    assert "original, int8" in str(error.value)


def test_an_agreement_below_its_least_is_no_manifest(made):
    text = (put_copy(made).folder / "model.toml").read_text()
    (made.folder / "model.toml").write_text(text.replace("value = 0.99", "value = 0.9"))
    with pytest.raises(ModelError) as error:
        bundle.read(made.folder)
    assert error.value.code == "MODEL_MANIFEST_INVALID"


def test_what_a_person_wrote_is_kept_and_a_variant_made_again_replaces_the_old_one(made):
    path = made.folder / "model.toml"
    path.write_text("# mine\n" + path.read_text())
    put_copy(made)
    again = put_copy(bundle.read(made.folder), how="again")
    text = path.read_text()
    assert text.startswith("# mine\n")
    assert text.count("[[variant]]") == 1
    assert again.manifest.variant[0].how == "again"


def test_the_agent_takes_the_variant_of_the_profile_and_only_one_that_was_checked(made, cache):
    found = put_copy(made)
    figures = Figures(fps=1, p50_ms=1, p99_ms=1, cpu_ms=1, memory_mb=1, ratio=2)
    one = Profile(
        sha256=found.sha256,
        variant="int8",
        variant_sha256=made.sha256,
        way=Way(workers=2),
        machine=this_machine(),
        figures=figures,
    )
    profile.keep(one, cache)
    plan = load(found.folder, cache=cache, wish=Wish("auto")).plan
    assert (plan.variant, plan.way.workers, plan.notes) == ("int8", 2, ())
    assert load(found.folder, cache=cache, wish=Wish("original")).plan.variant == ""
    profile.keep(replace(one, way=Way(engine="openvino")), cache)
    assert (
        "not held against the original with openvino"
        in load(found.folder, cache=cache, wish=Wish("auto")).plan.notes[0]
    )
    profile.keep(replace(one, variant_sha256="0" * 64), cache)
    plan = load(found.folder, cache=cache, wish=Wish("auto")).plan
    assert plan.variant == ""
    assert "made again" in plan.notes[0]


def test_a_variant_that_fails_at_the_start_is_said_and_the_original_runs(made, cache):
    found = put_copy(made)
    figures = Figures(fps=1, p50_ms=1, p99_ms=1, cpu_ms=1, memory_mb=1, ratio=2)
    profile.keep(
        Profile(
            sha256=found.sha256,
            variant="int8",
            variant_sha256=made.sha256,
            way=Way(),
            machine=this_machine(),
            figures=figures,
        ),
        cache,
    )
    (found.folder / "variants" / "int8.onnx").write_bytes(b"damaged")
    predictor = load(found.folder, cache=cache, wish=Wish("auto"))
    assert predictor.ref.sha256 == made.sha256
    assert "MODEL_CHECKSUM" in predictor.plan.notes[0]
    with pytest.raises(ModelError):
        load(found.folder, cache=cache, wish=Wish("int8"))


def test_golden_pictures_of_a_variant_are_held_to_what_is_found(tmp_path, cache):
    source = bundle.write(tmp_path / "a", manifest(), three_layers(tmp_path / "m.onnx"))
    outputs = load(source.folder, cache=cache)
    raw = outputs.run(outputs.preprocess(picture(0))).tensors
    np.savez(tmp_path / "g.npz", **raw)
    extra = {
        "golden/g.png": cv2.imencode(".png", picture(0))[1].tobytes(),
        "golden/g.npz": (tmp_path / "g.npz").read_bytes(),
    }
    golden = (Golden(image="golden/g.png", outputs="golden/g.npz", tolerance=1e-6),)
    found = bundle.write(tmp_path / "b", manifest(golden=golden), source.onnx, extra)
    load(quantized(found).folder, cache=cache, wish=Wish("int8"))
    # Another model in its place, however alive, finds something else.
    model = onnx.load_from_string(found.onnx)
    model.graph.node[-1].output[0] = "o"
    model.graph.node.append(helper.make_node("Neg", ["o"], ["output0"]))
    data = model.SerializeToString()
    row = Variant(name="int8", sha256=bundle.sha256_of(data), of=found.sha256, how="wrong", agreement=AGREED)
    put(bundle.read(found.folder), row, data)
    with pytest.raises(ModelError) as error:
        load(found.folder, cache=cache, wish=Wish("int8"))
    assert error.value.code == "MODEL_GOLDEN_MISSED"


def test_what_decodes_stays_as_it_is():
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(8, 3, 3, 3)), "boxes": rng.normal(size=(8, 8, 1, 1)), "scores": np.ones((16, 8))}
    weights |= {"ramp": np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)}
    kinds = [
        ("Conv", ["x", "w"], "a"), ("Sigmoid", ["a"], "s"), ("Mul", ["a", "s"], "m"), ("Conv", ["m", "boxes"], "b"),
        ("Conv", ["b", "ramp"], "c"), ("Concat", ["c", "m"], "o"),
    ]  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output]) for kind, inputs, output in kinds],
        "g", [], [], [onnx.numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()],
    )  # fmt: skip
    names = nodes.names_in_order(graph)
    assert len(set(names)) == len(names)
    assert nodes.learnt(graph) == ["Conv_0"]
    weights["boxes"] = rng.normal(size=(16, 8, 1, 1))
    graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(weights["boxes"].astype(np.float32), "boxes"))
    assert nodes.learnt(graph) == ["Conv_0", "Conv_3"]
    assert nodes.left_alone(graph) == ["Conv_4", "Concat_5"]
    assert nodes.left_alone(graph, "ends") == ["Conv_0", "Conv_3", "Conv_4", "Concat_5"]


def test_an_old_export_is_brought_to_where_it_can_be_made_small(made):
    model = prepared(made.onnx, {})
    assert model.opset_import[0].version >= 13
    assert [one.name for one in model.graph.input] == ["images"]


def test_networks_without_convolutions_are_made_small_without_pictures():
    assert recipes_for("auto", "auto", has_convolutions=False) == [[Recipe("dynamic")]]
    assert {one.mode for one in recipes_for("auto", "auto", has_convolutions=True)[0]} == {"conv", "full"}


def test_a_bundle_keeps_its_other_fields_with_a_variant(made):
    found = put_copy(made)
    inside = with_variant(found, "int8")
    assert inside.manifest == found.manifest
    assert inside.variant == "int8"
    assert with_variant(found, "original") is found
    assert replaced(inside, variant="").folder == found.folder


def test_a_network_without_convolutions_keeps_its_answers_in_int8(tmp_path):
    about = About(name="thirds", version="1.0.0", task="classify", labels=("left", "middle", "right"))
    found = bundle.write(
        tmp_path / "b",
        manifest(model=about, output=ClassifyHead(), thresholds=Thresholds()),
        layered(tmp_path / "m.onnx"),
    )

    def bright(i):
        image = np.full((SIDE, SIDE, 3), 40, np.uint8)
        image[:, 11 * (i % 3) : 11 * (i % 3) + 9] = 200
        return image

    work = search(found, material=Material(bright, 6))
    ((recipe,),) = work.recipes("auto", "auto")
    one = work.run(recipe)
    assert recipe.mode == "dynamic"
    assert one.agrees(1.0), one.error
    assert "MatMulInteger" in {node.op_type for node in onnx.load_from_string(one.data).graph.node}
