"""``jidoka run --check`` and what else is found before a part is looked at: one line each, with the place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.cli.main import main


@pytest.fixture
def settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A starter project that is in order."""
    assert main(["init", str(tmp_path / "p")]) == 0
    capsys.readouterr()
    return tmp_path / "p" / "agent.toml"


TLS = '[link]\nhost = "127.0.0.1"\ntls = { ca = "gone.pem" }\n\n[journal]'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('source = "pictures"', 'source = "gone"', "SOURCE_ABSENT: agent.toml line 24: there is no file or folder "),
        ('path = "models/dark-spots"', 'path = "gone.onnx"', "MODEL_ABSENT: agent.toml line 32: "),
        ("[journal]", TLS, "TLS_FILE_UNUSABLE: there is no file "),
    ],
)
def test_a_file_that_is_absent(settings: Path, capsys: pytest.CaptureFixture[str], old, new, said) -> None:
    settings.write_text(settings.read_text().replace(old, new, 1))
    assert main(["run", "--check", str(settings)]) == 3
    told = capsys.readouterr()
    assert told.err.startswith(said) and told.err.count("\n") == 1, told.err
    assert "gone" in told.err


def test_a_camera_may_come_later(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = settings.read_text().replace("loop = true\nrate_hz = 2.0\n", "")
    settings.write_text(text.replace('source = "pictures"', 'source = "rtsp://127.0.0.1:9/gone"'))
    assert main(["run", "--check", str(settings)]) == 0, capsys.readouterr().err


def test_a_data_folder_that_cannot_be_made_is_a_warning(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--check", str(settings)]) == 0
    assert "warning" not in capsys.readouterr().out
    settings.write_text(settings.read_text().replace('data_dir = "data"', 'data_dir = "README.md/data"', 1))
    assert main(["run", "--check", str(settings)]) == 0
    assert "warning: agent.toml line 10: " in capsys.readouterr().out


@pytest.mark.parametrize("command", [["demo"], ["sim", "run", "cell"]])
def test_a_report_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], command) -> None:
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    assert main([*command, "--out", str(tmp_path / "taken")]) == 3
    assert capsys.readouterr().err.splitlines()[-1].startswith("OUT_UNWRITABLE: ")
