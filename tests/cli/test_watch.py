"""watch: against a real broker, with readable lines, one JSON document a line, filters, and nonsense on the wire."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.cli.describe import clock, lines_of, plain
from edge.cli.main import main
from edge.cli.watch import Filter, endpoint_of
from edge.domain import Finding, ModelRef, Reason
from edge.errors import ConfigError
from edge.messages import (
    Ack,
    Ask,
    Desired,
    Envelope,
    Event,
    Evidence,
    Gap,
    Latency,
    Metrics,
    Reply,
    Reported,
    Result,
    State,
    encode_record,
)
from edge.shell.broker import Broker
from edge.shell.endpoint import Tls
from edge.topics import decode, encode, envelope, topic

RESULT = Result(
    "fail", 1_790_000_000_000, "camera", 41, 7, 1, part_no=512, reasons=(Reason("found", "scratch", 0.93, 0.5),),
    findings=(Finding("scratch", 0.93, (1.0, 2.0, 3.0, 4.0)),), latency_ms=Latency(total=37.4),
)  # fmt: skip
STATE = State(
    "online", "a1", 3, 2, ready=False, why_not=("camera is away",), model=ModelRef("metal", "1.2.0", "0" * 64)
)
EVIDENCE = Evidence("camera", 41, 1, "fail", b"\xff\xd8" * 600, decision="fail", width_px=640, height_px=480)


def batch(kind, *records) -> bytes:
    return envelope("a1", kind, 10, [encode_record(one) for one in records], 1)


def opened(kind, *records) -> Envelope:
    return decode(kind, batch(kind, *records))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (STATE, ["online", "boot 3", "not ready", "camera is away", "metal 1.2.0"]),
        (State("offline", "a1", 3, 2), ["offline boot 3"]),
        (Metrics(1, 1, {"parts": 9}, {"cpu_share": 0.25}), ["parts=9", "cpu_share=0.25"]),
        (Reported("l", 4, ok=True), ["runs revision 4"]),
        (Reported("l", 4, ok=False, code="SETTING_RANGE", what="too high"), ["refused revision 4", "too high"]),
        (Reply("q1", ok=False, code="CMD_EXPIRED"), ["q1 CMD_EXPIRED"]),
        (Desired("l", 5, {"stop.m": 3}, model="abc"), ["revision 5", "stop.m=3", "model abc"]),
        (Ask("q1", "cell", "snapshot", 10.0, {"source": "camera"}), ["q1 snapshot within 10 s", "source=camera"]),
        (Ack("l", "a1", {"results": 7}), ["results to 7"]),
        (opened("results", RESULT), ["#10", "fail", "part 512", "camera/41", "found scratch 0.93", "37 ms"]),
        (opened("events", Event("CAMERA_GONE", "alarm", 1, "it is away")), ["alarm CAMERA_GONE", "it is away"]),
        (opened("events", Gap("evidence", 4, 9, "evicted", 1)), ["gap evidence 4 to 9: evicted"]),
        (opened("evidence", EVIDENCE), ["camera/41", "640 x 480 px, 1 KiB"]),
    ],
)
def test_each_message_is_readable(message, words) -> None:
    line = "\n".join(lines_of(message))
    assert "\n" not in line
    for word in words:
        assert word in line


def test_a_batch_gives_one_line_a_record() -> None:
    assert [line.split()[0] for line in lines_of(opened("results", RESULT, RESULT))] == ["#10", "#11"]


def test_pictures_are_given_by_size_in_json() -> None:
    record = plain(opened("evidence", EVIDENCE))["body"][0]
    assert record["jpeg_bytes"] == 1200
    assert "jpeg" not in record


@pytest.mark.parametrize("utc_ms", [0, -1, 10**18, -(10**18)])
def test_any_time_can_be_shown(utc_ms) -> None:
    assert len(clock(utc_ms)) == 12


def test_filters_ask_the_broker_for_no_more_than_wanted() -> None:
    assert Filter().topics() == ["jidoka/v1/+/+/+"]
    assert Filter("north", "", ("results", "events")).topics() == [
        "jidoka/v1/north/+/results",
        "jidoka/v1/north/+/events",
    ]


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("mqtt://b:1884", "b", 1884), ("b", "b", 1883), ("b:99", "b", 99), ("mqtt://[::1]:1883", "::1", 1883)],
)
def test_broker_addresses(url, host, port) -> None:
    endpoint = endpoint_of(url, None, None, None)
    assert (endpoint.host, endpoint.port) == (host, port)


@pytest.mark.parametrize("url", ["http://b", "mqtt://", "mqtt://b:x", "mqtt://b:99999", "mqtt://b/topic", "mqtts://b"])
def test_wrong_broker_addresses(url) -> None:
    with pytest.raises(ConfigError, match="BROKER_URL_WRONG"):
        endpoint_of(url, None, None, None)


def test_certificates_want_an_encrypted_address(tmp_path) -> None:
    with pytest.raises(ConfigError, match="BROKER_URL_WRONG"):
        endpoint_of("mqtt://b", Tls(tmp_path), None, None)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker("auto") as child:
        yield child


@pytest.fixture
def publish(broker) -> Iterator:
    """Publish retained, so that it does not matter who is there first; everything is taken back at the end."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    arrived = threading.Semaphore(0)
    client.on_publish = lambda *_: arrived.release()
    client.connect(broker.host, broker.port)
    client.loop_start()
    names: list[str] = []

    def send(name: str, payload: bytes) -> None:
        names.append(name)
        client.publish(name, payload, qos=1, retain=True)
        assert arrived.acquire(timeout=10)

    yield send
    for name in dict.fromkeys(names):
        client.publish(name, b"", qos=1, retain=True)
        assert arrived.acquire(timeout=10)
    client.disconnect()
    client.loop_stop()


def watched(broker: Broker, capsys, *options: str) -> list[str]:
    url = f"mqtt://{broker.host}:{broker.port}"
    assert main(["watch", "--broker", url, "--seconds", "20", *options]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.live
def test_lines_from_a_broker(broker, publish, capsys) -> None:
    publish(topic("north", "cell-1", "state"), encode("state", STATE))
    (line,) = watched(broker, capsys, "--count", "1")
    assert " north/cell-1 state    online boot 3" in line
    assert line.endswith("(retained)")


@pytest.mark.live
def test_json_is_one_document_a_line(broker, publish, capsys) -> None:
    publish(topic("north", "cell-1", "results"), batch("results", RESULT, RESULT))
    publish(topic("north", "cell-2", "state"), encode("state", STATE))
    documents = [json.loads(line) for line in watched(broker, capsys, "--count", "2", "--json")]
    by_kind = {one["kind"]: one for one in documents}
    assert [one["part_no"] for one in by_kind["results"]["message"]["body"]] == [512, 512]
    assert by_kind["state"]["agent"] == "cell-2"


@pytest.mark.live
def test_only_what_was_asked_for(broker, publish, capsys) -> None:
    publish(topic("north", "cell-1", "state"), encode("state", STATE))
    publish(topic("south", "cell-1", "metrics"), encode("metrics", Metrics(1, 1)))
    publish(topic("north", "cell-2", "state"), encode("state", STATE))
    lines = watched(broker, capsys, "--agent", "cell-2", "--kind", "state", "--kind", "metrics", "--count", "1")
    assert " north/cell-2 " in lines[0]


@pytest.mark.live
def test_nonsense_is_named_and_watching_goes_on(broker, publish, capsys) -> None:
    publish(topic("north", "cell-1", "ack"), b"\x00garbage")
    publish(topic("north", "cell-1", "evidence"), b"\xc1")
    publish("jidoka/v1/north/cell 1/state", b"{}")
    text = "\n".join(watched(broker, capsys, "--count", "3"))
    assert text.count("MESSAGE_MALFORMED") == 2
    assert "TOPIC_FOREIGN" in text


def test_nobody_listens(capsys) -> None:
    assert main(["watch", "--broker", "mqtt://127.0.0.1:1"]) == 5
    assert capsys.readouterr().err.startswith("LINK_REFUSED: ")


@pytest.mark.parametrize("option", [["--site", "a/b"], ["--agent", "#"]])
def test_ids_are_checked(option, capsys) -> None:
    assert main(["watch", *option]) == 3
    assert capsys.readouterr().err.startswith("ID_WRONG: ")
