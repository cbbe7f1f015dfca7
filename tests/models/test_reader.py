"""The reader of text on PP-OCR's files and public photos, and codes on public photos."""

from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
import pytest

from edge.errors import ModelError
from edge.models import ocr
from edge.models.loading import load
from edge.vision import imageio
from tests.commands import run

FILES = ("ch_PP-OCRv4_rec_infer.onnx", "ch_ppocr_mobile_v2.0_cls_infer.onnx", "ch_PP-OCRv4_det_infer.onnx")


@pytest.fixture(scope="module")
def reader(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader") / "reader"
    ocr.pack([shared_data / "models" / name for name in FILES], folder)
    return load(folder)


def rows_of(shared_data, folder):
    with (shared_data / folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_is_printed_is_read(reader, shared_data):
    for row in rows_of(shared_data, "ocr-labels"):
        found = reader(imageio.decode((shared_data / "ocr-labels" / row["file"]).read_bytes()))
        assert found.task == "ocr"
        if row["must_contain"]:
            assert row["must_contain"] in "\n".join(found.texts), row["file"]
        else:
            assert found.texts == ()
        assert len(found.texts) == len(found) == len(found.quads)


def test_the_date_is_where_it_is_printed_also_in_a_larger_frame(reader, shared_data):
    crop = imageio.decode((shared_data / "ocr-labels" / "exp_date_crop.jpg").read_bytes())
    (text,) = reader(crop).texts
    assert text == "23.08.2022"
    height, width = crop.shape[:2]
    frame = np.full((600, 800, 3), 128, np.uint8)
    frame[300 : 300 + height, 500 : 500 + width] = crop
    upside_down = np.ascontiguousarray(frame[::-1, ::-1])
    for picture, first in ((frame, (500, 300)), (upside_down, (300, 300))):
        found = reader(picture)
        assert found.texts == ("23.08.2022",)
        # Its own top left: upside down, that is at the lower right.
        assert found.quads[0][0] == pytest.approx(first, abs=16)
    assert [name for name, _ in found.timings.stages] == ["first", "turn", "read"]


def test_a_dictionary_that_does_not_fit_is_refused(shared_data, tmp_path):
    digits = tmp_path / "digits.txt"
    digits.write_text("\n".join("0123456789"), encoding="utf-8")
    files = [shared_data / "models" / name for name in FILES]
    with pytest.raises(ModelError, match="10 characters, the model 6625 classes") as caught:
        ocr.pack(files, tmp_path / "b", dictionary=digits)
    assert caught.value.code == "MODEL_DICTIONARY_UNFIT"
    assert not (tmp_path / "b").exists()
    ran = run(tmp_path / "cache", "model", "pack", *files, "-o", tmp_path / "b", "--labels", digits)
    assert (ran.status, ran.last.split(":")[0]) == (3, "MODEL_DICTIONARY_UNFIT")


def test_the_command_packs_several_files_as_one_and_takes_the_place_of_another_bundle_only_when_told(
    shared_data, tmp_path
):
    files = [shared_data / "models" / name for name in FILES]
    ran = run(tmp_path / "cache", "model", "pack", *files, "-o", tmp_path / "b", "--json")
    assert ran.status == 0
    assert [stage["name"] for stage in ran.document["manifest"]["stage"]] == ["turn", "read"]
    again = run(tmp_path / "cache", "model", "pack", *files[:1], files[2], "-o", tmp_path / "b")
    assert (again.status, again.last.split(":")[0]) == (3, "PACK_EXISTS")
    forced = run(tmp_path / "cache", "model", "pack", *files[:1], files[2], "-o", tmp_path / "b", "--force", "--json")
    assert [stage["name"] for stage in forced.document["manifest"]["stage"]] == ["read"]
    unfit = run(tmp_path / "cache", "model", "pack", *files, "-o", tmp_path / "c", "--set", "input.color=rgb")
    assert (unfit.status, unfit.last.split(":")[0]) == (3, "SET_WRONG")


def test_packing_says_what_is_missing(shared_data, tmp_path):
    with pytest.raises(ModelError, match="reads a line") as caught:
        ocr.pack([shared_data / "models" / name for name in FILES[1:]], tmp_path / "b")
    assert caught.value.code == "MODEL_ROLE_ABSENT"
    assert not (tmp_path / "b").exists()


def test_codes_are_what_the_library_reads(shared_data):
    pytest.importorskip("zxingcpp", reason="the extra 'codes' is not installed")
    read = load("codes")
    wanted = [row for row in rows_of(shared_data, "barcodes-zxing") if row["zxingcpp_agrees"] == "yes"]
    right = 0
    for row in wanted:
        found = read(imageio.decode((shared_data / "barcodes-zxing" / row["file"]).read_bytes()))
        if row["text"]:
            right += (row["text"], row["format"]) in zip(found.texts, found.formats, strict=True)
        else:
            assert found.texts == (), row["file"]
            right += 1
    assert right >= 0.95 * len(wanted)


def test_codes_of_some_formats_only():
    library = pytest.importorskip("zxingcpp", reason="the extra 'codes' is not installed")
    code = np.array(library.write_barcode_to_image(library.create_barcode("A1", library.BarcodeFormat.QRCode), scale=4))
    picture = np.full((300, 400), 255, np.uint8)
    picture[40 : 40 + code.shape[0], 60 : 60 + code.shape[1]] = code
    found = load("codes")(picture)
    assert (found.texts, found.formats, found.names) == (("A1",), ("QRCode",), ["QRCode"])
    assert (found.boxes[0, :2] > (60, 40)).all() and (found.boxes[0, 2:] < (60 + code.shape[1], 300)).all()
    assert load("builtin:codes:QRCode")(picture).texts == ("A1",)
    assert load("codes:EAN13,DataMatrix")(picture).texts == ()
    with pytest.raises(ModelError, match="MODEL_FORMAT_UNKNOWN"):
        load("codes:QRKode")


def test_without_the_extra_one_line_names_it(tmp_path):
    program = "import sys; sys.modules['zxingcpp'] = None; from edge.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "infer", "codes", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 3
    assert ran.stderr.startswith("MODEL_EXTRA_ABSENT: ") and "jidoka-edge[codes]" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
