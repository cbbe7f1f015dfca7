"""An RTSP server that nobody here wrote: GStreamer's, run as ``/usr/bin/python3 gst_rtsp_peer.py PORT [basic|digest USER PASSWORD]``.

Needs Debian's gir1.2-gst-rtsp-server-1.0 and python3-gi, and nothing of ours. On 127.0.0.1 it serves
``/jpeg`` and ``/h264`` at 25 frames/s, 320x64 px, over TCP and UDP, to everybody or to USER only; H.264 has a
key frame every 2 s. Each frame shows the monotonic millisecond at which it was made, modulo 2**20, as
20 blocks of 16 px, black or white, highest bit first: the clock is the machine's, so a reader can tell how old it is.
Prints ``ready`` when it listens.
"""

import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions are chosen before

BITS, BLOCK_PX, HEIGHT_PX, FPS = 20, 16, 64, 25
WIDTH_PX = BITS * BLOCK_PX
CAPS = f"video/x-raw,format=I420,width={WIDTH_PX},height={HEIGHT_PX},framerate={FPS}/1"
SOURCE = f"( appsrc name=made is-live=true do-timestamp=true format=time caps={CAPS} ! "
JPEG = SOURCE + "jpegenc quality=80 ! rtpjpegpay name=pay0 pt=26 )"
H264 = SOURCE + "openh264enc gop-size=50 bitrate=2000000 ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )"


def picture():
    """One I420 frame that shows the time."""
    now_ms = time.monotonic_ns() // 1_000_000
    bits = [now_ms >> bit & 1 for bit in reversed(range(BITS))]
    row = b"".join((b"\xeb" if bit else b"\x10") * BLOCK_PX for bit in bits)
    return row * HEIGHT_PX + b"\x80" * (WIDTH_PX * HEIGHT_PX // 2)


def feed(_factory, media):
    """Pictures from now on until the pipeline is taken down. The first ones are what DESCRIBE waits for."""
    source = media.get_element().get_by_name("made")

    def push():
        return source.emit("push-buffer", Gst.Buffer.new_wrapped(picture())) == Gst.FlowReturn.OK

    # The pipeline is not running yet, and what is pushed before is refused.
    media.get_element().set_state(Gst.State.PAUSED)
    push()
    GLib.timeout_add(1000 // FPS, push)


def mount(server, path, pipeline):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(pipeline)
    factory.set_shared(True)  # as a camera does: who comes later joins between two key frames
    factory.connect("media-configure", feed)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("owner", "media.factory.access", True)
    permissions.add_permission_for_role("owner", "media.factory.construct", True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory(path, factory)


def lock(server, scheme, user, password):
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "owner")
    auth = GstRtspServer.RTSPAuth()
    if scheme == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)


def main(port, *login):
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if login:
        lock(server, *login)
    mount(server, "/jpeg", JPEG)
    mount(server, "/h264", H264)
    if not server.attach(None):
        raise SystemExit(f"port {port} cannot be had")
    sys.stdout.write(f"ready {server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
