# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the built programs, and a peer of the wire written from docs/wire.md alone."""

import contextlib
import os
import pathlib
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import host

BIN = pathlib.Path(os.environ["VIADUCT_BIN"])
MODULES = pathlib.Path(os.environ["VIADUCT_MODULES"])
VECTORS = pathlib.Path(os.environ["VIADUCT_VECTORS"])
DEADLINE = float(os.environ.get("VIADUCT_TEST_DEADLINE", "30"))

MAGIC, CHUNK_MAGIC = 0x4E495043, 0x4E43484B
REQUEST, RESPONSE, CONTROL = 1, 2, 3
HELLO, HELLO_ACK = 1, 2


def vector(name):
    """Bytes of tests/vectors/<name>.hex."""
    text = (VECTORS / (name + ".hex")).read_text()
    return bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))


# -- wire ---------------------------------------------------------------------------------------------


def header(kind, code, length, *, flags=0, status=0, items=1, id=1, version=1, magic=MAGIC, header_len=32):
    return struct.pack("=IHHHHHHIIQ", magic, version, header_len, kind, flags, code, status, length, items, id)


def hello(*, layout=1, supported=1, preferred=0, request=1024, batch=1, response=1024, token=0, packet=65536, reserved=0):
    body = struct.pack("=HHIIIIIIIQI", layout, 0, supported, preferred, request, batch, response, batch, reserved, token, packet)
    return header(CONTROL, HELLO, len(body), id=0) + body


def ack_fields(packet):
    names = "layout flags server intersection selected request batch response response_batch packet reserved session".split()
    return dict(zip(names, struct.unpack("=HHIIIIIIIIIQ", packet[32:80])))


def ack(selected=1, *, server=1, request=1024, batch=1, response=65536, packet=65536, session=1, status=0):
    body = struct.pack("=HHIIIIIIIIIQ", 1, 0, server, server & selected, selected, request, batch, response, batch, packet, 0, session)
    return header(CONTROL, HELLO_ACK, len(body), id=0, status=status) + body


def increment(value, id=1):
    return header(REQUEST, 1, 8, id=id) + struct.pack("=Q", value)


def packets(message, size, id):
    """A message as the packets of section 4."""
    if len(message) <= size:
        return [message]
    room, body = size - 32, message[32:]
    rest = body[room:]
    count = 1 + -(-len(rest) // room)
    out = [message[:size]]
    for i in range(1, count):
        part = rest[(i - 1) * room : i * room]
        out.append(struct.pack("=IHHQIIII", CHUNK_MAGIC, 1, 0, id, len(message), i, count, len(part)) + part)
    return out


# -- sockets --------------------------------------------------------------------------------------------


class Peer:
    """A raw client. Every wait has the deadline of the test."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(DEADLINE), 0))
        self.s.connect(str(path))  # blocking: a full queue is waited for
        self.s.settimeout(DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        self.s.send(data)

    def recv(self):
        """One packet; b"" at the end, also when the end is a reset."""
        try:
            return self.s.recv(1 << 20)
        except ConnectionResetError:
            return b""

    def ask(self, data):
        self.send(data)
        return self.recv()

    def greet(self, **terms):
        answer = self.ask(hello(**terms))
        assert len(answer) == 80 and answer[14:16] == b"\0\0", answer.hex()
        return ack_fields(answer)


# -- programs -----------------------------------------------------------------------------------------------


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("VIADUCT_MODULE")}
    env["VIADUCT_MODULE_PATH"] = str(MODULES)
    env.update(more)
    if host.WINDOWS:
        env["VIADUCT_MODULE_PATH"] = host.path(env["VIADUCT_MODULE_PATH"])
        env["LC_ALL"] = "C.UTF-8"  # wine takes arguments for what the locale says
    return env


def run(*args, env=None, timeout=DEADLINE, input=None, before=None, under=()):
    """Runs a program to its end: (status, stdout, stderr). before: called in the child; under: what starts it."""
    command = [*under, *host.command(BIN / args[0], *args[1:])]
    p = subprocess.run(command, capture_output=True, text=True, env=env or environment(), timeout=timeout, input=input, preexec_fn=before)
    return p.returncode, p.stdout, p.stderr


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE} s for {what}"
        os.sched_yield()


def open_gate(gate):
    """Lets the call go on that waits at the FIFO, as soon as one does: tests/e2e/fixture_wedge.c."""

    def is_open():
        try:
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    wait_until(is_open, "a call at the gate")


def reachable(path):
    try:
        Peer(path).s.close()
    except OSError:
        return False
    return True


class Daemon:
    """viaductd with a configuration, ready when it says so over NOTIFY_SOCKET; on Windows in its log."""

    def __init__(self, config="", *, env=None, run_dir=None, before=None, shared=False):
        self.dir = tempfile.TemporaryDirectory()
        base = pathlib.Path(self.dir.name)
        if shared:  # with other users
            base.chmod(0o755)
        self.run_dir = pathlib.Path(run_dir) if run_dir else base / "run"
        self.config = base / "viaductd.conf"
        self.log_path = base / "log"
        self.config.write_text(f"[daemon]\nrun_dir = {host.path(self.run_dir)}\n{config}")
        if host.WINDOWS:
            self.start(env or environment(), before)
            wait_until(lambda: "ready: " in self.log() or self.p.poll() is not None, "the daemon")
            assert self.p.poll() is None, self.log()
            return
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(base / "notify"))
        if shared:
            (base / "notify").chmod(0o666)
        notify.settimeout(DEADLINE)
        self.start(dict(env or environment(), NOTIFY_SOCKET=str(base / "notify")), before)
        self.await_ready(notify)
        notify.close()

    def start(self, env, before):
        with open(self.log_path, "w") as log:
            self.p = subprocess.Popen(host.command(BIN / "viaductd", "-c", self.config), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=before)

    def await_ready(self, notify):
        poll = selectors.DefaultSelector()
        poll.register(notify, selectors.EVENT_READ)
        with contextlib.closing(poll):
            fd = os.pidfd_open(self.p.pid)
            poll.register(fd, selectors.EVENT_READ)
            try:
                ready = [k.fileobj for k, _ in poll.select(DEADLINE)]
                assert notify in ready and b"READY=1" in notify.recv(4096), self.log()
            finally:
                os.close(fd)

    def log(self):
        return self.log_path.read_text()

    def path(self, service):
        return self.run_dir / (service + ".sock")

    def call(self, *args, **kw):
        return run("viaduct", "call", "--run-dir", self.run_dir, *args, **kw)

    def works(self, value=41):
        """A good client is served."""
        status, out, err = self.call("--timeout", "10s", "increment", value)
        assert (status, out.strip()) == (0, str(value + 1)), (status, out, err, self.log())

    def kill(self):
        self.p.kill()
        self.p.wait(DEADLINE)

    def stop(self):
        """Clean stop: status 0 and nothing left."""
        self.p.send_signal(host.STOP)
        status = self.p.wait(DEADLINE)
        left = sorted(p.name for p in self.run_dir.iterdir()) if self.run_dir.exists() else []
        assert status == 0 and left == [], (status, left, self.log())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self.p.poll() is None:
                self.stop()
        finally:
            if self.p.poll() is None:
                self.kill()
            self.dir.cleanup()
