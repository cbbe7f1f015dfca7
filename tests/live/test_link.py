"""The agent's link against a real Mosquitto with TLS, client certificates, passwords and access rules."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigError
from edge.events import Connected, Disconnected, Received
from edge.messages import State
from edge.shell.mqtt import Endpoint, MqttLink, Tls
from edge.topics import encode
from tests.live.certificates import Authority

pytestmark = pytest.mark.live
WAIT_S = 15.0
WILL = encode("state", State("offline", "log", 1, 1))
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Mosquitto with these settings, on a free port of 127.0.0.1."""
    if MOSQUITTO is None:
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    port = free_port()
    user = ["user root"] if os.geteuid() == 0 else []
    config = [*user, f"listener {port} 127.0.0.1", "set_tcp_nodelay true", *lines]
    (folder / "mosquitto.conf").write_text("\n".join(config) + "\n")
    process = subprocess.Popen([MOSQUITTO, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                threading.Event().wait(0.02)
        yield port, process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(WAIT_S)


@contextmanager
def link(endpoint: Endpoint, agent: str = "cell") -> Iterator[tuple[MqttLink, queue.SimpleQueue[Any]]]:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    made = MqttLink(endpoint, "hall", agent, heard.put, lambda: 1)
    try:
        yield made, heard
    finally:
        made.close()


def outcome(endpoint: Endpoint, agent: str = "cell") -> Connected | Disconnected:
    with link(endpoint, agent) as (made, heard):
        made.connect(WILL)
        return heard.get(timeout=WAIT_S)


def refusal(endpoint: Endpoint, agent: str = "cell") -> str:
    seen = outcome(endpoint, agent)
    assert isinstance(seen, Disconnected), seen
    assert seen.what, "it says what happened"
    return seen.code


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls_lines(authority: Authority, host: str = "127.0.0.1", days: int = 10) -> list[str]:
    certificate, key = authority.issue("server", host=host, days=days)
    return [f"cafile {authority.ca}", f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true"]


def test_tls_with_the_right_authority(tmp_path, authority):
    with mosquitto(tmp_path, *tls_lines(authority)) as (port, _):
        assert isinstance(outcome(Endpoint("127.0.0.1", port, tls=Tls(authority.ca))), Connected)


def test_another_authority_is_refused(tmp_path, authority):
    stranger = Authority(tmp_path, "stranger")
    with mosquitto(tmp_path, *tls_lines(authority)) as (port, _):
        assert refusal(Endpoint("127.0.0.1", port, tls=Tls(stranger.ca))) == "LINK_TLS"


def test_a_certificate_of_another_host_is_refused(tmp_path, authority):
    with mosquitto(tmp_path, *tls_lines(authority, host="elsewhere.example")) as (port, _):
        assert refusal(Endpoint("127.0.0.1", port, tls=Tls(authority.ca))) == "LINK_TLS"


def test_an_expired_certificate_is_refused(tmp_path, authority):
    with mosquitto(tmp_path, *tls_lines(authority, days=-1)) as (port, _):
        assert refusal(Endpoint("127.0.0.1", port, tls=Tls(authority.ca))) == "LINK_TLS"


def test_client_certificates_where_they_are_required(tmp_path, authority):
    certificate, key = authority.issue("cell")
    lines = [*tls_lines(authority), "require_certificate true", "use_identity_as_username true"]
    with mosquitto(tmp_path, *lines) as (port, _):
        ours = Tls(authority.ca, certificate, key)
        assert isinstance(outcome(Endpoint("127.0.0.1", port, tls=ours)), Connected)
        assert refusal(Endpoint("127.0.0.1", port, tls=Tls(authority.ca))) in {"LINK_TLS", "LINK_LOST", "LINK_FAILED"}


def test_plain_speech_to_a_tls_port_and_tls_to_a_plain_one(tmp_path, authority):
    with mosquitto(tmp_path, *tls_lines(authority)) as (port, _):
        assert refusal(Endpoint("127.0.0.1", port)) in {"LINK_LOST", "LINK_FAILED"}
    with mosquitto(tmp_path, "allow_anonymous true") as (port, _):
        assert refusal(Endpoint("127.0.0.1", port, tls=Tls(authority.ca))) in {
            "LINK_TLS",
            "LINK_TIMEOUT",
            "LINK_FAILED",
        }


def test_files_that_are_no_certificates_are_said_before_anything_is_tried(tmp_path):
    (tmp_path / "ca.crt").write_text("nonsense")
    with pytest.raises(ConfigError, match="TLS_FILE_UNUSABLE"):
        MqttLink(Endpoint("127.0.0.1", 1, tls=Tls(tmp_path / "ca.crt")), "hall", "cell", print, lambda: 1)


def test_passwords(tmp_path):
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("needs mosquitto_passwd: apt-get install mosquitto")
    file = tmp_path / "passwords"
    subprocess.run([tool, "-b", "-c", str(file), "cell", "right"], check=True, capture_output=True)
    with mosquitto(tmp_path, "allow_anonymous false", f"password_file {file}") as (port, _):
        assert isinstance(outcome(Endpoint("127.0.0.1", port, username="cell", password="right")), Connected)
        assert refusal(Endpoint("127.0.0.1", port, username="cell", password="wrong")) == "LINK_NOT_AUTHORISED"
        assert refusal(Endpoint("127.0.0.1", port)) == "LINK_NOT_AUTHORISED"


def test_nobody_there_and_no_such_host():
    assert refusal(Endpoint("127.0.0.1", free_port())) == "LINK_REFUSED"
    assert refusal(Endpoint("no-such-host.invalid", 1883)) == "LINK_HOST_UNKNOWN"


def test_a_frozen_broker_is_noticed_and_left(tmp_path):
    with (
        mosquitto(tmp_path, "allow_anonymous true") as (port, process),
        link(Endpoint("127.0.0.1", port, keepalive_s=1)) as (made, heard),
    ):
        made.connect(WILL)
        assert isinstance(heard.get(timeout=WAIT_S), Connected)
        process.send_signal(signal.SIGSTOP)
        lost = heard.get(timeout=WAIT_S)
        assert isinstance(lost, Disconnected) and lost.code == "LINK_LOST"
        process.send_signal(signal.SIGCONT)
        made.connect(WILL)
        while isinstance(back := heard.get(timeout=WAIT_S), Received):
            assert back.message.status == "offline", "our own will"
        assert isinstance(back, Connected)


def test_a_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert refusal(Endpoint("127.0.0.1", mute.getsockname()[1], keepalive_s=1)).startswith("LINK_")
