"""`jidoka camera setup`: the page over real HTTP, in a real browser, and the command as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import pytest
from peer_http import HttpPeer, number_of, part, picture
from test_figures import board

from drivers._live_view import LiveView
from drivers._setup_server import SetupServer
from drivers.camera_opencv import OpenCvCamera, OpenCvOptions
from drivers.cli import choose, toml_lines
from edge.cli.main import main
from edge.errors import ConfigError, LinkError


@pytest.fixture
def folder(tmp_path) -> Path:
    cv2.imwrite(str(tmp_path / "board.png"), board())
    return tmp_path


@pytest.fixture
def server(folder):
    camera = OpenCvCamera("camera", OpenCvOptions(source=str(folder), loop=True, rate_hz=50.0))
    live = LiveView(camera)
    served = SetupServer(live, "</script><b>", lambda scale: toml_lines("opencv", {"source": "x"}, scale))
    live.start()
    served.start()
    live.newer(0, 5.0)
    yield served
    live.stop()
    served.close()


def ask(server: SetupServer, path: str, body: object = None, **headers: str):
    """(status, headers, body); POST when there is a body."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    request = urllib.request.Request(server.url.rstrip("/") + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_the_page_is_self_contained_and_its_title_cannot_break_out(server):
    status, headers, body = ask(server, "/")
    text = body.decode()
    assert status == 200
    assert text.count("</script>") == 1
    assert "http://" not in text.replace(server.url, "")
    assert "https://" not in text
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_frames_come_with_their_figures_and_each_is_newer(server):
    turn = 0
    for _ in range(3):
        status, headers, body = ask(server, f"/frame.jpg?after={turn}")
        view = json.loads(headers["X-View"])
        assert status == 200
        assert body.startswith(b"\xff\xd8")
        assert view["turn"] > turn
        assert view["focus"] > 100
        assert view["size_px"] == [board().shape[1], board().shape[0]]
        turn = view["turn"]


def test_scale_from_two_points_and_from_the_board(server):
    _, _, body = ask(server, "/points", {"a": [0, 0], "b": [100, 0], "length_mm": 25})
    assert json.loads(body)["scale"]["mm_per_px"] == 0.25
    _, _, body = ask(server, "/board", {"columns": 9, "rows": 6, "square_mm": 12})
    told = json.loads(body)
    assert told["scale"]["mm_per_px"] == pytest.approx(0.5, rel=0.002)
    assert tomllib.loads(told["toml"])["sources"]["camera"]["mm_per_px"] == pytest.approx(0.5, rel=0.002)


def test_a_region_is_measured_alone(server):
    ask(server, "/region", {"xyxy": [0, 0, 20, 20]})  # the board's white margin
    view = server.live.view()
    for _ in range(20):
        view = server.live.newer(view.turn, 5.0)
        if view.figures.focus < 1:
            break
    assert view.figures.mean == pytest.approx(235, abs=1)
    assert view.focus_best < 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/points", {"a": [0, 0], "b": [0, 0], "length_mm": 1}, 422),
        ("/points", {"a": "x"}, 422),
        ("/board", {"columns": 20, "rows": 20, "square_mm": 1}, 422),
        ("/region", [1], 422),
        ("/nothing", {}, 404),
        ("/points", {"a": [0] * 5000}, 400),
    ],
)
def test_bad_requests_are_told(server, path, body, status):
    assert ask(server, path, body)[0] == status
    assert ask(server, "/frame.jpg?after=x")[0] == 200


def test_other_sites_cannot_reach_it(server):
    assert ask(server, "/", Host="evil.example")[0] == 403
    assert ask(server, "/done", {}, Host="evil.example")[0] == 403
    assert ask(server, "/done", {}, Content_Type="text/plain")[0] == 400
    assert not server.done.is_set()


def test_a_port_that_is_taken(server):
    port = int(server.url.rsplit(":", 1)[1].strip("/"))
    with pytest.raises(LinkError, match=r"PORT_TAKEN.*--port"):
        SetupServer(server.live, "", lambda _: "", port=port)


def test_errors_are_shown_and_the_view_goes_on():
    with HttpPeer() as peer:
        chosen = choose(f"http://127.0.0.1:{peer.port}/snapshot")
        live = LiveView(chosen.source)
        live.start()
        view = live.newer(0, 5.0)
        assert number_of(view.frame.image) == view.frame.ref.frame_no
        peer.status = 503
        while not view.error:
            view = live.newer(view.turn, 5.0)
        assert "HTTP 503" in view.error
        peer.status = 200
        while view.error:
            view = live.newer(view.turn, 5.0)
        live.stop()


def test_streams_and_snapshots_are_told_apart():
    with HttpPeer() as peer:
        peer.parts = [part(1)]
        assert choose(f"http://127.0.0.1:{peer.port}/stream").options["mode"] == "mjpeg"
        assert choose(f"http://127.0.0.1:{peer.port}/snapshot").options["mode"] == "snapshot"
    assert choose("0").options == {"source": 0}
    with pytest.raises(ConfigError, match="SOURCE_URL_INVALID"):
        choose("http://u:p@127.0.0.1/x")


def test_json_measures_once_and_ends(folder, capsys):
    assert main(["camera", "setup", str(folder), "--json", "--board", "9x6", "--square-mm", "12"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mm_per_px"] == pytest.approx(0.5, rel=0.002)
    assert told["focus"] > 100


@pytest.mark.parametrize(
    ("args", "status", "code"),
    [
        (["/no/such", "--json"], 4, "SOURCE_ABSENT"),
        (["/no/such"], 4, "SOURCE_ABSENT"),
        (["FOLDER", "--json", "--board", "9by6"], 3, "BOARD_INVALID"),
        (["FOLDER", "--json", "--board", "9x6"], 3, "BOARD_INVALID"),
        (["FOLDER", "--json", "--board", "5x4", "--square-mm", "1"], 4, "BOARD_NOT_FOUND"),
        (["FOLDER", "--target-width-mm", "-1"], 3, "TARGET_INVALID"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, args, status, code):
    cv2.imwrite(str(folder / "board.png"), picture(3))
    assert main(["camera", "setup", *(str(folder) if a == "FOLDER" else a for a in args)]) == status
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"{code}: ")


def test_the_command_ends_with_lines_for_agent_toml(folder):
    command = [sys.executable, "-m", "edge.cli.main", "camera", "setup", str(folder), "--target-width-mm", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stderr.readline().split()[1]
        for path, body in (("points", {"a": [0, 0], "b": [40, 0], "length_mm": 10}), ("done", {})):
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
            urllib.request.urlopen(request, timeout=10).close()
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    camera = tomllib.loads(out)["sources"]["camera"]
    assert (camera["driver"], camera["mm_per_px"], camera["options"]["source"]) == ("opencv", 0.25, str(folder))


@pytest.mark.live
def test_a_person_drags_a_line_in_a_real_browser(server):
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("needs Chromium (Debian's package chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(chromium), args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        said: list[str] = []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(server.url)
        tab.locator("#advice li").first.wait_for()
        assert tab.inner_text("#title") == "</script><b>"
        tab.fill("#length", "25")
        box = tab.locator("#picture").bounding_box()
        px = box["width"] / board().shape[1]
        tab.mouse.move(box["x"] + 50 * px, box["y"] + 50 * px)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 150 * px, box["y"] + 50 * px)
        tab.mouse.up()
        tab.locator("#scale b").wait_for()
        assert server.scale.mm_per_px == pytest.approx(0.25, rel=0.02)
        tab.click("#done")
        assert server.done.wait(10)
        browser.close()
    assert said == []
