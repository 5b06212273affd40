# SPDX-License-Identifier: Apache-2.0
"""Peers that misbehave, against the daemon and against the client. After each, a good client is served."""

import contextlib
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import peer
from peer import host
from peer import Daemon, Peer

CONFIG = "[service string-reverse]\nmax_request = 65536\nmax_response = 65536\n"


@host.posix_only("sockets")
class AgainstTheServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(CONFIG)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__(None)

    def tearDown(self):
        self.daemon.works()

    def peer(self, service="increment"):
        p = Peer(self.daemon.path(service))
        self.addCleanup(p.s.close)
        return p

    def test_silent_clients_delay_nobody_and_are_closed(self):
        silent = [self.peer() for _ in range(100)]
        begin = time.monotonic()
        self.daemon.works()
        self.assertLess(time.monotonic() - begin, 3, "a silent client held another up")
        for p in silent:
            self.assertEqual(p.recv(), b"")

    def test_more_silent_clients_than_places(self):
        silent = [self.peer() for _ in range(400)]
        self.daemon.works()
        for p in silent[:100]:
            self.assertEqual(p.recv(), b"", "the oldest made room")

    def test_first_packets_that_get_no_answer(self):
        good = peer.hello()
        bad = {
            "empty header": b"\0" * 32,
            "truncated": good[:31],
            "magic": peer.hello()[:0] + b"\0\0\0\0" + good[4:],
            "header_len": good[:6] + b"\x21\0" + good[8:],
            "kind 0": good[:8] + b"\0\0" + good[10:],
            "request": peer.increment(1),
            "acknowledgement": peer.ack(),
            "43 bytes": good[:75],
            "reserved": peer.hello(reserved=1),
            "text": b"GET / HTTP/1.1\r\n\r\n",
            "one byte": b"x",
        }
        for name, packet in bad.items():
            with self.subTest(name):
                self.assertEqual(self.peer().ask(packet), b"")

    def test_first_packets_that_are_refused(self):
        good = peer.hello()
        for name, packet in {"version": good[:4] + b"\x02\0" + good[6:], "layout": peer.hello(layout=2)}.items():
            with self.subTest(name):
                answer = self.peer().ask(packet)
                self.assertEqual((len(answer), answer[14]), (80, 3))

    def test_long_hello_is_accepted(self):
        answer = self.peer().ask(peer.hello() + b"\xff" * 500)
        self.assertEqual((len(answer), answer[14]), (80, 0))

    def test_broken_messages_end_only_their_session(self):
        good = peer.increment(1)
        bad = {
            "short": good[:31],
            "magic": b"XXXX" + good[4:],
            "version": good[:4] + b"\x07\0" + good[6:],
            "response": peer.header(peer.RESPONSE, 1, 8) + b"\0" * 8,
            "control": peer.hello(),
            "longer than declared": good + b"\0",
            "directory": peer.header(peer.REQUEST, 1, 16, flags=1, items=3) + struct.pack("=IIII", 4, 8, 0, 8),
            "directory too long": peer.header(peer.REQUEST, 1, 8, flags=1, items=3) + b"\0" * 8,
        }
        for name, packet in bad.items():
            with self.subTest(name):
                p = self.peer()
                p.greet(batch=8)
                self.assertEqual(p.ask(packet), b"")

    def test_chunk_errors(self):
        text = b"a" * 300
        body = struct.pack("=II", 8, len(text)) + text + b"\0"
        message = peer.header(peer.REQUEST, 3, len(body), id=5) + body
        good = peer.packets(message, 64, 5)

        def patched(i, at, new):
            return [p if k != i else p[:at] + new + p[at + len(new) :] for k, p in enumerate(good)]

        bad = {
            "magic": patched(1, 0, b"\0\0\0\0"),
            "version": patched(1, 4, b"\2\0"),
            "flags": patched(1, 6, b"\1\0"),
            "id": patched(1, 8, b"\6"),
            "total": patched(1, 16, b"\1\0\0\0"),
            "index": patched(2, 20, b"\1\0\0\0"),
            "count": patched(1, 24, b"\1\0\0\0"),
            "payload": patched(1, 28, b"\1\0\0\0"),
            "short": good[:1] + [good[1][:40]],
            "missing": good[:1] + good[2:],
            "not a chunk": [good[0], peer.increment(1)],
        }
        for name, packets in bad.items():
            with self.subTest(name):
                p = self.peer("string-reverse")
                p.greet(request=4096, packet=64)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    for packet in packets:
                        p.send(packet)
                self.assertEqual(p.recv(), b"")

    def test_random_bytes(self):
        rng = random.Random(20261121)
        for _ in range(100):
            p = self.peer()
            if rng.random() < 0.7:
                p.greet(batch=8)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for _ in range(rng.randrange(1, 4)):
                    junk = rng.randbytes(rng.randrange(1, 200))
                    p.send(junk if rng.random() < 0.5 else peer.increment(1)[: rng.randrange(1, 33)] + junk)
            p.s.close()

    def test_death_at_every_step(self):
        steps = [peer.hello(batch=8), peer.increment(1), peer.increment(2), peer.increment(3)]
        for n in range(len(steps) + 1):
            for read in (False, True):
                p = self.peer()
                for packet in steps[:n]:
                    p.send(packet)
                    if read:
                        p.recv()
                p.s.close()

    def test_requests_without_reading_the_answers(self):
        p = self.peer()
        p.greet()
        p.s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for i in range(1_000_000):
                p.send(peer.increment(i, id=i))
        self.daemon.works()
        p.s.settimeout(peer.DEADLINE)
        self.assertEqual(p.recv()[32:40], struct.pack("=Q", 1), "what was asked is answered once it is read")

    def test_error_answer_is_not_overtaken(self):
        for _ in range(50):
            p = self.peer()
            p.greet()
            with contextlib.suppress(BrokenPipeError):
                p.send(peer.header(peer.REQUEST, 1, 4) + b"\0" * 4)
                for i in range(20):
                    p.send(peer.increment(i, id=2 + i))
            self.assertEqual(p.recv()[14:16], b"\1\0", "BAD_ENVELOPE comes before the end")


    def test_refusal_is_not_overtaken(self):
        for _ in range(50):
            p = self.peer()
            with contextlib.suppress(BrokenPipeError):
                p.send(peer.hello(token=99))
                for i in range(5):
                    p.send(peer.increment(i))
            answer = p.recv()
            self.assertEqual((len(answer), answer[14:16]), (80, b"\2\0"), "AUTH_FAILED comes before the end")


class FakeServer:
    """Listens like a netipc server and runs script(connection) for each client."""

    def __init__(self, script):
        self.dir = tempfile.TemporaryDirectory()
        self.script = script
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.bind(str(pathlib.Path(self.dir.name) / "increment.sock"))
        self.s.listen(8)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                c, _ = self.s.accept()
                c.settimeout(peer.DEADLINE)
                with c, contextlib.suppress(OSError):
                    self.script(c)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()
        self.thread.join(peer.DEADLINE)
        self.dir.cleanup()

    def call(self, *args):
        begin = time.monotonic()
        status, out, err = peer.run("viaduct", "call", "--run-dir", self.dir.name, *args, "increment", "41")
        return status, out + err, time.monotonic() - begin


@host.posix_only("sockets")
class AgainstTheClient(unittest.TestCase):
    def check(self, script, says, status=None, *args):
        with FakeServer(script) as s:
            got, text, seconds = s.call("--timeout", "20s", *args)
            self.assertNotEqual(got, 0, text)
            self.assertIn(says, text)
            self.assertLess(seconds, 10, "the error came at the deadline, not at once: " + text)
            self.assertEqual(text.count("\n"), 1, text)

    def answers(self, *packets):
        def script(c):
            c.recv(4096)
            for p in packets:
                c.send(p)

        return script

    def after_handshake(self, *packets):
        def script(c):
            c.recv(4096)
            c.send(peer.ack())
            c.recv(4096)
            for p in packets:
                c.send(p)

        return script

    def test_handshake(self):
        cases = {
            "closes": (lambda c: c.recv(4096), "closed"),
            "wrong kind": (self.answers(peer.increment(1)), "HELLO_ACK"),
            "truncated": (self.answers(peer.ack()[:70]), "HELLO_ACK"),
            "text": (self.answers(b"SSH-2.0-OpenSSH\r\n"), "HELLO_ACK"),
            "flags": (self.answers(peer.ack()[:34] + b"\1" + peer.ack()[35:]), "HELLO_ACK"),
            "packet size": (self.answers(peer.ack(packet=32)), "packet"),
            "not offered": (self.answers(peer.ack(0x40000000, server=0x40000001)), "profile"),
            "no profile": (self.answers(peer.ack(0)), "profile"),
            "token": (self.answers(peer.ack(status=2)), "AUTH_FAILED"),
            "short refusal": (self.answers(peer.ack(status=5)[:32]), "LIMIT_EXCEEDED"),
            "unknown status": (self.answers(peer.ack(status=77)), "refused"),
        }
        for name, (script, says) in cases.items():
            with self.subTest(name):
                self.check(script, says)

    def test_answers(self):
        good = peer.header(peer.RESPONSE, 1, 8) + struct.pack("=Q", 42)
        cases = {
            "closes": (self.after_handshake(), "closed"),
            "short": (self.after_handshake(good[:20]), "packet"),
            "request": (self.after_handshake(peer.increment(1)), "kind"),
            "id": (self.after_handshake(peer.header(peer.RESPONSE, 1, 8, id=7) + good[32:]), "message_id"),
            "method": (self.after_handshake(peer.header(peer.RESPONSE, 3, 8) + good[32:]), "method"),
            "payload": (self.after_handshake(peer.header(peer.RESPONSE, 1, 4) + b"\0" * 4), "value"),
            "longer": (self.after_handshake(good + b"\0"), "packet"),
            "over the limit": (self.after_handshake(peer.header(peer.RESPONSE, 1, 70000) + b"\0" * 8), "payload_len"),
            "status": (self.after_handshake(peer.header(peer.RESPONSE, 1, 0, status=6)), "INTERNAL_ERROR"),
        }
        for name, (script, says) in cases.items():
            with self.subTest(name):
                self.check(script, says)

    def test_silence_ends_at_the_deadline(self):
        stop = threading.Event()
        scripts = {"handshake": lambda c: stop.wait(peer.DEADLINE), "call": None}

        def silent_after_ack(c):
            c.recv(4096)
            c.send(peer.ack())
            stop.wait(peer.DEADLINE)

        scripts["call"] = silent_after_ack
        for name, script in scripts.items():
            with self.subTest(name), FakeServer(script) as s:
                status, text, seconds = s.call("--timeout", "300ms")
                stop.set()
                self.assertEqual(status, 4, text)
                self.assertGreaterEqual(seconds, 0.3)
                stop.clear()

    def test_nobody_there(self):
        with tempfile.TemporaryDirectory() as d:
            status, _, err = peer.run("viaduct", "call", "--run-dir", d, "increment", "1")
            self.assertEqual(status, 3, err)
            self.assertIn("increment.sock", err)


@host.posix_only("sockets")
class DeathOfTheServer(unittest.TestCase):
    def test_kill_during_a_call(self):
        """The client learns of the death at once, the next server starts, nothing is left."""
        run_dir = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, run_dir)
        first = Daemon(run_dir=run_dir)
        self.addCleanup(first.dir.cleanup)
        with Peer(first.path("increment")) as p:
            p.greet()
            os.kill(first.p.pid, signal.SIGSTOP)
            os.waitpid(first.p.pid, os.WUNTRACED)  # it has stopped: the call stays under way
            p.send(peer.increment(1))
            client = subprocess.Popen(
                [str(peer.BIN / "viaduct"), "call", "--run-dir", run_dir, "--timeout", "25s", "increment", "1"],
                env=peer.environment(), stderr=subprocess.PIPE, text=True)
            begin = time.monotonic()
            first.kill()
            _, err = client.communicate(timeout=peer.DEADLINE)
            self.assertNotEqual(client.returncode, 0)
            self.assertLess(time.monotonic() - begin, 5, err)
            self.assertEqual(p.recv(), b"")
        with Daemon(run_dir=run_dir) as second:
            second.works()

    def test_kill_while_clients_call(self):
        run_dir = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, run_dir)
        for _ in range(5):
            d = Daemon(run_dir=run_dir)
            peers = [Peer(d.path("increment")) for _ in range(4)]
            for p in peers:
                p.greet()
                p.ask(peer.increment(1))
                p.send(peer.increment(2))
            d.kill()
            for p in peers:
                p.recv()
                self.assertEqual(p.recv(), b"")
                p.s.close()
            d.dir.cleanup()
        with Daemon(run_dir=run_dir) as last:
            last.works()


if __name__ == "__main__":
    unittest.main()
