"""All links, the agent's, the coordinator's and a swarm's, against a real Mosquitto: TLS, passwords, rules, and bad networks."""

from __future__ import annotations

import queue
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.events import Refused
from edge.events_fleet import Unheard
from edge.messages import State
from edge.shell.endpoint import Endpoint, Tls, tls_context
from edge.topics import encode
from sims.proxy import Proxy
from tests.live.broker_rig import CONNECT_TIMEOUT_S, AgentEnd, CoordinatorEnd, Dial, Outcome, free_port, mosquitto
from tests.live.certificates import Authority
from tests.live.swarm_rig import SwarmEnd

pytestmark = pytest.mark.live
UP = Outcome("")
PLAIN = "allow_anonymous true"


@pytest.fixture(params=[AgentEnd, CoordinatorEnd, SwarmEnd], ids=["agent", "coordinator", "swarm"])
def dial(request: pytest.FixtureRequest) -> Iterator[Dial]:
    made: list[AgentEnd | CoordinatorEnd] = []

    def end(endpoint: Endpoint) -> AgentEnd | CoordinatorEnd:
        made.append(request.param(endpoint))
        made[-1].connect()
        return made[-1]

    yield end
    for one in made:
        one.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls_lines(authority: Authority, host: str = "127.0.0.1", days: int = 10) -> list[str]:
    certificate, key = authority.issue("server", host=host, days=days)
    return [f"cafile {authority.ca}", f"certfile {certificate}", f"keyfile {key}", PLAIN]


def passwords(folder: Path) -> str:
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("needs mosquitto_passwd: apt-get install mosquitto")
    file = folder / "passwords"
    subprocess.run([tool, "-b", "-c", str(file), "us", "right"], check=True, capture_output=True)
    return f"password_file {file}"


# --- TLS


def test_tls_with_the_right_authority(tmp_path, authority, dial):
    with mosquitto(tmp_path, *tls_lines(authority)) as (port, _):
        end = dial(Endpoint("127.0.0.1", port, tls=Tls(authority.ca)))
        assert end.outcome() == UP
        end.say()
        end.connect()
        assert end.outcome() == UP


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("authority", "self-signed certificate in certificate chain"),
        ("host", "IP address mismatch"),
        ("expired", "certificate has expired"),
    ],
)
def test_a_broker_with_a_wrong_certificate_is_refused_and_the_right_one_is_taken_afterwards(
    tmp_path, authority, dial, wrong, why
):
    other = Authority(tmp_path, "stranger") if wrong == "authority" else authority
    host = "elsewhere.example" if wrong == "host" else "127.0.0.1"
    with mosquitto(tmp_path, *tls_lines(other, host, -1 if wrong == "expired" else 10)) as (port, _):
        endpoint = Endpoint("127.0.0.1", port, tls=Tls(authority.ca))
        end = dial(endpoint)
        code, what = end.outcome(5.0)
        assert code == "LINK_TLS"
        assert str(endpoint) in what and why in what
    with mosquitto(tmp_path, *tls_lines(authority)) as (port, _):
        assert dial(Endpoint("127.0.0.1", port, tls=Tls(authority.ca))).outcome() == UP


def test_client_certificates_where_they_are_required(tmp_path, authority, dial):
    stranger = Authority(tmp_path, "stranger")
    lines = [*tls_lines(authority), "require_certificate true", "use_identity_as_username true"]
    with mosquitto(tmp_path, *lines) as (port, _):
        ours, theirs = authority.issue("cell"), stranger.issue("visitor")
        assert dial(Endpoint("127.0.0.1", port, tls=Tls(authority.ca, *ours))).outcome() == UP
        for tls in (Tls(authority.ca), Tls(authority.ca, *theirs)):
            code, what = dial(Endpoint("127.0.0.1", port, tls=tls)).outcome(5.0)
            # Whether TLS's alert is read before the reset arrives, the network decides.
            assert code in {"LINK_TLS", "LINK_LOST"}
            assert "certificate" in what.lower() or "unknown_ca" in what.lower()


def test_plain_speech_to_a_tls_port(tmp_path, authority, dial):
    with mosquitto(tmp_path, *tls_lines(authority)) as (port, _):
        code, what = dial(Endpoint("127.0.0.1", port)).outcome(CONNECT_TIMEOUT_S + 2)
        assert (code, "does it want TLS?" in what) == ("LINK_LOST", True)


def test_tls_to_a_plain_port(tmp_path, authority, dial):
    with mosquitto(tmp_path, PLAIN) as (port, _):
        code, what = dial(Endpoint("127.0.0.1", port, tls=Tls(authority.ca))).outcome(CONNECT_TIMEOUT_S + 2)
        assert code in {"LINK_TLS", "LINK_FAILED"}
        assert f"mqtts://127.0.0.1:{port}" in what


def test_files_that_are_no_certificates_are_said_before_anything_is_tried(tmp_path):
    (tmp_path / "ca.crt").write_text("nonsense")
    for ca in ("ca.crt", "absent.crt"):
        with pytest.raises(ConfigError, match="TLS_FILE_UNUSABLE"):
            tls_context(Tls(tmp_path / ca))


# --- who may do what


def test_passwords(tmp_path, dial):
    with mosquitto(tmp_path, "allow_anonymous false", passwords(tmp_path)) as (port, _):
        for username, password in (("us", "wrong"), ("them", "right"), (None, None)):
            code, what = dial(Endpoint("127.0.0.1", port, username=username, password=password)).outcome(5.0)
            assert code == "LINK_NOT_AUTHORISED"
            assert "refuses us" in what
        assert dial(Endpoint("127.0.0.1", port, username="us", password="right")).outcome() == UP


def rules(folder: Path, *lines: str) -> list[str]:
    file = folder / "rules"
    file.write_text("\n".join(["user us", *lines]) + "\n")
    file.chmod(0o600)
    return ["allow_anonymous false", passwords(folder), f"acl_file {file}"]


def test_rules_that_refuse_all_our_topics(tmp_path, dial):
    with mosquitto(tmp_path, *rules(tmp_path, "topic readwrite other/#")) as (port, _):
        end = dial(Endpoint("127.0.0.1", port, username="us", password="right"))
        seen = end.outcome(5.0)
        if seen == UP:  # this broker lets anybody subscribe, and refuses what is published
            end.say()
            seen = end.outcome(5.0)
        assert seen.code == "LINK_NOT_AUTHORISED"
        assert "Not authorized" in seen.what


def test_rules_that_refuse_a_single_topic_cost_only_that_and_are_counted(tmp_path, dial):
    with mosquitto(tmp_path, *rules(tmp_path, "topic readwrite jidoka/v1/hall/+/state")) as (port, _):
        end = dial(Endpoint("127.0.0.1", port, username="us", password="right"))
        assert end.outcome() == UP
        end.say()
        if isinstance(end, AgentEnd):
            end.say("results", b"{}")
        else:
            end.say("ack", b"{}", "cell")
        while not isinstance(event := end.next(), Refused | Unheard):
            assert type(event).__name__ in {"Received", "Heard"}, event
        assert event.code == "PUBLISH_NOT_AUTHORISED"
        end.say()


# --- brokers and networks that fail


def test_nobody_there_and_no_such_host(dial):
    assert dial(Endpoint("127.0.0.1", free_port())).outcome().code == "LINK_REFUSED"
    assert dial(Endpoint("no-such-host.invalid", 1883)).outcome().code == "LINK_HOST_UNKNOWN"


def test_a_frozen_broker_is_noticed_and_left(tmp_path):
    """The agent's: its keep-alive is a setting."""
    with mosquitto(tmp_path, PLAIN) as (port, process):
        end = AgentEnd(Endpoint("127.0.0.1", port, keepalive_s=1))
        end.connect()
        assert end.outcome() == UP
        process.send_signal(signal.SIGSTOP)
        assert end.outcome(5.0).code == "LINK_LOST"
        process.send_signal(signal.SIGCONT)
        end.connect()
        assert end.outcome() == UP
        end.close()


@pytest.mark.parametrize("mode", ["cut", "deaf", "refuse"])
def test_a_connection_that_dies_on_the_way_is_noticed_once_and_made_anew(tmp_path, mode):
    with mosquitto(tmp_path, PLAIN) as (port, _):
        proxy = Proxy(("127.0.0.1", port))
        proxy.start()
        end = AgentEnd(Endpoint("127.0.0.1", proxy.port, keepalive_s=1))
        end.connect()
        assert end.outcome() == UP
        proxy.set_mode(mode)
        assert end.outcome(5.0).code == "LINK_LOST"
        end.connect()
        failed = end.outcome(CONNECT_TIMEOUT_S + 2)
        assert failed.code in {"LINK_LOST", "LINK_TIMEOUT", "LINK_REFUSED"}
        proxy.set_mode("ok")
        end.connect()
        assert end.outcome() == UP
        with pytest.raises(queue.Empty):
            end.outcome(0.2)
        end.close()
        proxy.stop()


def test_closing_does_not_wait_for_a_peer_that_reads_no_more(tmp_path):
    with mosquitto(tmp_path, PLAIN) as (port, process):
        end = AgentEnd(Endpoint("127.0.0.1", port, keepalive_s=60))
        end.connect()
        assert end.outcome() == UP
        process.send_signal(signal.SIGSTOP)
        for _ in range(40):
            end.say("evidence", bytes(500_000))
        began = time.monotonic()
        end.close()
        assert time.monotonic() - began < 4.0


@pytest.mark.parametrize("orderly", [True, False])
def test_who_leaves_without_a_goodbye_leaves_its_will(tmp_path, orderly):
    with mosquitto(tmp_path, PLAIN) as (port, _):
        end, witness = (AgentEnd(Endpoint("127.0.0.1", port)), CoordinatorEnd(Endpoint("127.0.0.1", port)))
        for one in (end, witness):
            one.connect()
            assert one.outcome() == UP
        end.say()
        assert witness.next().message.status == "online"
        if orderly:
            end.goodbye()
        end.close()
        if orderly:
            with pytest.raises(queue.Empty):
                witness.next(0.3)
        else:
            assert witness.next().message.status == "offline"
        witness.close()


@pytest.mark.parametrize("speech", ["nothing", "half", "no SUBACK"])
def test_a_server_that_never_answers_is_given_up_whatever_the_keep_alive(dial, speech):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        end = dial(Endpoint("127.0.0.1", mute.getsockname()[1], keepalive_s=600))
        peer, _ = mute.accept()
        with peer:
            peer.sendall({"nothing": b"", "half": b"\x20\x03\x00", "no SUBACK": b"\x20\x03\x00\x00\x00"}[speech])
            code, what = end.outcome()
            assert code == "LINK_TIMEOUT"
            assert "did not answer within" in what
            assert time.monotonic() - began < CONNECT_TIMEOUT_S + 2
            with pytest.raises(queue.Empty):
                end.outcome(0.1)


def test_a_server_that_speaks_no_mqtt(dial):
    with socket.create_server(("127.0.0.1", 0)) as other:
        end = dial(Endpoint("127.0.0.1", other.getsockname()[1]))
        peer, _ = other.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.shutdown(socket.SHUT_WR)
            code, what = end.outcome()
        assert code in {"LINK_LOST", "LINK_FAILED"}
        assert what


def test_a_second_client_with_our_name_pushes_us_off(tmp_path, dial):
    with mosquitto(tmp_path, PLAIN) as (port, _):
        first = dial(Endpoint("127.0.0.1", port))
        assert first.outcome() == UP
        first.say("state", encode("state", State("online", "log", 1, 1)))
        second = dial(Endpoint("127.0.0.1", port))
        assert second.outcome() == UP
        assert first.outcome().code in {"LINK_TAKEN_OVER", "LINK_LOST"}
