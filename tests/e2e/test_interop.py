# SPDX-License-Identifier: Apache-2.0
"""A client that knows nothing but docs/wire.md gets byte-equal answers: the recorded packets are replayed."""

import struct
import unittest

import peer
from peer import host
from peer import Daemon, Peer, vector

TOKEN = 0xDEADBEEFCAFEBABE
NETIPC_LIKE = f"""
token = {TOKEN}
[service cgroups-snapshot]
max_request = 4096
max_response = 65536
[service increment]
max_request = 4096
max_response = 65536
"""


@host.posix_only("sockets")
class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(NETIPC_LIKE)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__(None)

    def session(self, service, **terms):
        p = Peer(self.daemon.path(service))
        self.addCleanup(p.s.close)
        p.greet(token=TOKEN, **dict(dict(request=4096, batch=16), **terms))
        return p

    def test_handshake(self):
        only_baseline = NETIPC_LIKE.replace("max_request", "profiles = 0x1\nmax_request")  # as the recorded server
        with Daemon(only_baseline) as d, Peer(d.path("cgroups-snapshot")) as p:
            self.assertEqual(p.ask(vector("live/l2-snapshot.hello")), vector("live/l2-snapshot.ack"))

    def test_refusals(self):
        cases = [
            (dict(supported=0x8, token=1), "unsupported"),
            (dict(supported=0x8, token=TOKEN), "unsupported"),
            (dict(request=4097, token=TOKEN), "limit-exceeded"),
            (dict(packet=32, token=TOKEN), "incompatible-packet-size"),
        ]
        for terms, name in cases:
            with self.subTest(name), Peer(self.daemon.path("increment")) as p:
                self.assertEqual(p.ask(peer.hello(**terms)), vector("live/live-ack-" + name))
                self.assertEqual(p.recv(), b"")

    def test_refused_token(self):
        with Peer(self.daemon.path("increment")) as p:
            self.assertEqual(p.ask(peer.hello(token=1)), vector("valid/pkt-ack-rejected-status-2"))

    def test_increment(self):
        p = self.session("increment")
        self.assertEqual(p.ask(vector("live/l2-increment.req")), vector("live/l2-increment.resp"))
        self.assertEqual(p.ask(vector("live/l2-increment-batch3.req")), vector("live/l2-increment-batch3.resp"))

    def test_short_increment_ends_the_session(self):
        p = self.session("increment")
        self.assertEqual(p.ask(vector("live/l2-increment-short.req")), vector("live/l2-increment-short.resp"))
        self.assertEqual(p.recv(), b"")

    def test_unsupported_method_keeps_the_session(self):
        p = self.session("cgroups-snapshot")
        for _ in range(3):
            self.assertEqual(p.ask(vector("live/l2-unsupported-method.req")), vector("live/l2-unsupported-method.resp"))
        answer = p.ask(vector("live/l2-snapshot.req"))
        self.assertEqual(answer[:14], peer.header(2, 2, 0)[:14])

    def test_bad_envelope(self):
        p = self.session("cgroups-snapshot")
        self.assertEqual(p.ask(vector("live/l2-bad-envelope.req")), vector("live/l2-bad-envelope.resp"))
        self.assertEqual(p.recv(), b"")

    def test_limits(self):
        for name, terms in (("l2-limit-payload", dict(request=16, batch=1)), ("l2-limit-item-count", dict(batch=1))):
            with self.subTest(name):
                p = self.session("cgroups-snapshot", **terms)
                self.assertEqual(p.ask(vector(f"live/{name}.req")), vector(f"live/{name}.resp"))
                self.assertEqual(p.recv(), b"")

    def test_pipelining(self):
        p = self.session("increment")
        for i in range(64):
            p.send(peer.increment(i * 7, id=1000 + i))
        for i in range(64):
            want = peer.header(2, 1, 8, id=1000 + i) + struct.pack("=Q", i * 7 + 1)
            self.assertEqual(p.recv(), want)


@host.posix_only("sockets")
class Chunks(unittest.TestCase):
    def test_both_ways(self):
        text = bytes(33 + i % 90 for i in range(700))
        with Daemon("[service string-reverse]\nmax_request = 65536\nmax_response = 65536\n") as d:
            for size in (33, 40, 64, 128, 731, 740, 741, 742, 4096):
                with self.subTest(size), Peer(d.path("string-reverse")) as p:
                    p.greet(request=65536, packet=size)
                    self.exchange(p, text, size)

    def exchange(self, p, text, size):
        def message(kind, data):
            body = struct.pack("=II", 8, len(data)) + data + b"\0"
            return peer.header(kind, 3, len(body), id=9) + body

        for packet in peer.packets(message(1, text), size, 9):
            p.send(packet)
        for want in peer.packets(message(2, text[::-1]), size, 9):
            self.assertEqual(p.recv(), want)


if __name__ == "__main__":
    unittest.main()
