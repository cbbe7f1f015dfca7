"""The root command: names and helps without imports, one line and the right status for whatever goes wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from edge.cli.main import _call, as_ours, commands, helps, main
from edge.errors import DeviceError, JidokaError, StoreError

PROGRAM = [sys.executable, "-m", "edge.cli.main"]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *args], capture_output=True, text=True, timeout=60, check=False)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def app_of(body) -> typer.Typer:
    app = typer.Typer()
    app.command()(body)
    return app


@pytest.mark.parametrize("words", [["--version"], ["version"]])
def test_version(capsys, words) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("jidoka 0.")


def test_version_imports_nothing_heavy() -> None:
    code = "import sys; from edge.cli.main import main; main(['--version']); print(*sys.modules)"
    words = python(code).stdout.split()
    assert "jidoka" in words
    assert not {"typer", "rich", "numpy", "msgspec", "cv2", "onnxruntime", "paho"} & set(words)


def test_version_takes_at_most_ten_bare_starts() -> None:
    def fastest(*command: str) -> float:
        took = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            took.append(time.perf_counter() - start)
        return min(took)

    assert fastest(*PROGRAM, "--version") <= 10 * fastest(sys.executable, "-c", "pass")


def test_help_lists_every_command_with_its_line_and_imports_none() -> None:
    code = "import sys; from edge.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = python(code)
    for name, text in helps().items():
        assert f"  {name} " in done.stdout
        assert text in done.stdout
    assert not {"typer", "edge.cli.run", "edge.cli.watch", "drivers.cli", "sims.cli"} & set(done.stderr.split())


def test_without_a_command_the_help_is_shown_and_it_is_a_usage_error(capsys) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().out


def test_unknown_command_names_the_likely_one(capsys) -> None:
    assert main(["docter"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "USAGE_WRONG: there is no command 'docter'; did you mean 'doctor'?; see `jidoka --help`"


def test_commands_and_helps_agree() -> None:
    assert set(commands()) == set(helps())


def test_wrong_option_is_status_2_and_one_line(capsys) -> None:
    assert main(["status", "--bogus"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert err[0].startswith("USAGE_WRONG: No such option: --bogus")
    assert err[0].endswith("see `jidoka status --help`")


def test_an_app_with_one_command_runs_without_its_name(capsys) -> None:
    def only(word: str) -> None:
        typer.echo(f"got {word}")

    assert _call(app_of(only), "jidoka x", ["hello"]) == 0
    assert capsys.readouterr().out == "got hello\n"


def test_status_of_typer_exit_is_kept() -> None:
    def leave() -> None:
        raise typer.Exit(6)

    assert _call(app_of(leave), "jidoka x", []) == 6


RAISING = """
import sys, typer
import edge.cli.main as m
from edge.errors import DeviceError
app = typer.Typer()
@app.command()
def boom(): {body}
class Point:
    def load(self): return app
m.commands = lambda: {{"boom": Point()}}
sys.exit(m.main({args}))
"""


def raising(body: str, args: list[str]) -> subprocess.CompletedProcess[str]:
    return python(RAISING.format(body=body, args=args))


def test_our_error_is_one_line_with_its_status() -> None:
    done = raising("raise DeviceError('CAMERA_GONE', 'no camera', 'cable\\nout', 'plug it in')", ["boom"])
    assert done.returncode == 4
    assert done.stderr == "CAMERA_GONE: no camera; cable out; plug it in\n"


def test_a_bug_is_one_line_and_status_70() -> None:
    done = raising("1 / 0", ["boom"])
    assert done.returncode == 70
    assert done.stderr.startswith("BUG_UNEXPECTED: ZeroDivisionError: division by zero; ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("args", [["-v", "boom"], ["boom", "-v"], ["boom", "--verbose"]])
def test_verbose_shows_the_traceback_and_still_ends_with_the_line(args) -> None:
    done = raising("1 / 0", args)
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("BUG_UNEXPECTED: ")


def test_a_missing_extra_is_explained() -> None:
    done = raising("__import__('pkgutil'); raise ModuleNotFoundError('no', name='sqlalchemy')", ["boom"])
    assert done.returncode == 3
    assert done.stderr.startswith("EXTRA_MISSING: this needs the Python package 'sqlalchemy'")
    assert done.stderr.rstrip().endswith('pip install "jidoka-edge[coordinator]"')


def test_a_missing_system_library_names_the_debian_packages() -> None:
    error = as_ours(ImportError("libGL.so.1: cannot open shared object file: No such file or directory"))
    assert error.code == "LIB_MISSING"
    assert "libgl1 libglib2.0-0" in error.hint


def test_a_module_of_ours_that_is_missing_is_our_bug() -> None:
    assert as_ours(ModuleNotFoundError("no", name="edge.nowhere")).code == "BUG_UNEXPECTED"


@pytest.mark.parametrize("error", [DeviceError("CAMERA_GONE", "x"), StoreError("DISK_FULL", "x")])
def test_our_errors_pass_unchanged(error) -> None:
    assert as_ours(error) is error


def test_ctrl_c_is_status_130_and_silent() -> None:
    done = raising("raise KeyboardInterrupt", ["boom"])
    assert (done.returncode, done.stderr) == (130, "")


def test_a_reader_that_leaves_is_no_error() -> None:
    code = RAISING.format(body="[print('x' * 1000) for _ in range(10000)]", args=["boom"])
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(30) == 0


def test_every_error_line_is_a_single_line() -> None:
    text = str(JidokaError("SOME_CODE", "a\nb", "c\r\nd", "e"))
    assert text == "SOME_CODE: a b; c d; e"


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    done = run("status", "--data-dir", str(tmp_path))
    assert done.returncode == 5
    assert done.stderr.startswith("AGENT_ABSENT: ")
