"""Why an RTSP stream does not open, which OpenCV does not say: one DESCRIBE of our own (RFC 2326, 10.2), afterwards.

Only the status line counts. A 401 is answered once, with Digest (RFC 2617, MD5) or Basic, as FFmpeg does it; the login is
percent-decoded, as FFmpeg does it, too.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from edge.errors import ConfigError, DeviceError

DEFAULT_PORT = 554
MAX_LINE_BYTES = 4096
MAX_LINES = 64

OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404
STATUS = re.compile(r"RTSP/1\.\d (\d{3})(?: (.*))?")
PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^",\s]+))')


class RtspUrl(NamedTuple):
    """An rtsp url taken apart; ``bare`` is without the login, which is percent-decoded."""

    host: str
    port: int
    path: str
    bare: str
    user: str
    password: str

    @property
    def where(self) -> str:
        """Host and port, for people."""
        return f"{self.host}:{self.port}"


def take_apart(url: str) -> RtspUrl:
    """Raises ConfigError SOURCE_URL_INVALID, which never shows the url: what is wrong with it may be its password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if not host or any(c.isspace() for c in url):
        raise ConfigError(
            "SOURCE_URL_INVALID",
            "source is no rtsp url",
            hint="rtsp://[user:password@]host[:port]/path, with / ? # @ : % of a password as %2F %3F %23 %40 %3A %25",
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    at = f"[{host}]" if ":" in host else host
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return RtspUrl(host, port, path, f"rtsp://{at}:{port}{path}", user, password)


def reach(url: RtspUrl, timeout_s: float) -> None:
    """Connect and hang up. Raises DeviceError SOURCE_ABSENT or SOURCE_TIMEOUT with the reason, in time."""
    _connect(url, timeout_s).close()


def why_not(url: RtspUrl, transport: str, timeout_s: float) -> DeviceError:
    """What a camera says that FFmpeg could not open. Takes up to four times ``timeout_s``."""
    try:
        status, reason = _described(url, timeout_s)
    except DeviceError as error:
        return error
    except OSError as error:
        return DeviceError("SOURCE_LOST", f"{url.where} broke the connection", str(error), "is the camera restarting?")
    except ValueError as error:
        return DeviceError(
            "FRAME_MALFORMED", f"what answers at {url.where} is no RTSP server", str(error), "check port"
        )
    if status == UNAUTHORIZED and not url.user:
        hint = "write it into the url: rtsp://user:password@host/path"
        return DeviceError("SOURCE_REFUSED", f"the camera at {url.where} wants a login", hint=hint)
    if status == UNAUTHORIZED:
        hint = "check user and password; / ? # @ : % in them are written as %2F %3F %23 %40 %3A %25"
        return DeviceError("SOURCE_REFUSED", f"the camera at {url.where} refuses the login", hint=hint)
    if status == FORBIDDEN:
        return DeviceError(
            "SOURCE_REFUSED", f"the camera at {url.where} forbids this stream", hint="check its settings"
        )
    if status == NOT_FOUND:
        hint = "check the path in url; the camera's manual has it"
        return DeviceError("SOURCE_ABSENT", f"the camera at {url.where} has no such stream", hint=hint)
    if status == OK:
        what = f"the stream at {url.where} cannot be opened over {transport}, although the camera describes it"
        return DeviceError("SOURCE_ABSENT", what, hint="try the other transport, or H.264 instead of another coding")
    return DeviceError("SOURCE_LOST", f"the camera at {url.where} answered RTSP {status} {reason}".rstrip())


def authorization(challenges: list[str], url: RtspUrl) -> str:
    """The Authorization of DESCRIBE for the WWW-Authenticate lines given; empty when none of them is understood."""
    for challenge in challenges:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "digest":
            continue
        asked = {key.lower(): quoted or plain for key, quoted, plain in PARAMETER.findall(rest)}
        if asked.get("algorithm", "MD5").upper() != "MD5":
            continue
        realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
        secret = _md5(f"{url.user}:{realm}:{url.password}")
        what = _md5(f"DESCRIBE:{url.bare}")
        more, middle = "", nonce
        if "auth" in re.split(r"[,\s]+", asked.get("qop", "")):
            more, middle = ', qop=auth, nc=00000001, cnonce="6a69646f"', f"{nonce}:00000001:6a69646f:auth"
        response = _md5(f"{secret}:{middle}:{what}")
        if "opaque" in asked:
            more += f', opaque="{asked["opaque"]}"'
        return (
            f'Digest username="{url.user}", realm="{realm}", nonce="{nonce}", uri="{url.bare}", '
            f'response="{response}"{more}'
        )
    if any(challenge.lower().startswith("basic") for challenge in challenges):
        return "Basic " + base64.b64encode(f"{url.user}:{url.password}".encode()).decode()
    return ""


def _described(url: RtspUrl, timeout_s: float) -> tuple[int, str]:
    """Status and reason of DESCRIBE, with the login if one is asked for. Raises DeviceError, OSError, ValueError."""
    status, reason, challenges = _ask(url, "", timeout_s)
    if status == UNAUTHORIZED and url.user and (proof := authorization(challenges, url)):
        status, reason, _ = _ask(url, proof, timeout_s)
    return status, reason


def _ask(url: RtspUrl, proof: str, timeout_s: float) -> tuple[int, str, list[str]]:
    lines = [f"DESCRIBE {url.bare} RTSP/1.0", "CSeq: 1", "Accept: application/sdp"]
    lines += [f"Authorization: {proof}"] if proof else []
    with _connect(url, timeout_s) as line, line.makefile("rb") as answer:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        first = answer.readline(MAX_LINE_BYTES).decode("latin-1").strip()
        found = STATUS.fullmatch(first)
        if found is None:
            raise ValueError(f"it answered {first[:60]!r}" if first else "it hung up without an answer")
        challenges = []
        for _ in range(MAX_LINES):
            name, _, value = answer.readline(MAX_LINE_BYTES).decode("latin-1").strip().partition(":")
            if not name:
                break
            if name.lower() == "www-authenticate":
                challenges.append(value.strip())
    return int(found[1]), found[2] or "", challenges


def _connect(url: RtspUrl, timeout_s: float) -> socket.socket:
    try:
        return socket.create_connection((url.host, url.port), timeout_s)
    except TimeoutError as error:
        raise DeviceError(
            "SOURCE_TIMEOUT",
            f"no camera answers at {url.where} within {timeout_s:.3g} s",
            hint="check address and cable",
        ) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise DeviceError(
            "SOURCE_ABSENT", f"no camera at {url.where}", why, "check address, port, cable and power"
        ) from error


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
