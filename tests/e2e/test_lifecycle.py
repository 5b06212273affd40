# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and sharing a run directory."""

import os
import pathlib
import signal
import socket
import struct
import tempfile
import unittest

import peer
from peer import host
from peer import Daemon, Peer


class Lifecycle(unittest.TestCase):
    @host.posix_only("sockets")
    def test_stop_with_clients_connected(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            d = Daemon()
            peers = [Peer(d.path("increment")) for _ in range(10)]
            for p in peers[:5]:
                p.greet()
                p.ask(peer.increment(1))
            d.p.send_signal(sig)
            self.assertEqual(d.p.wait(peer.DEADLINE), 0, d.log())
            for p in peers:
                self.assertEqual(p.recv(), b"")
                p.s.close()
            self.assertFalse(d.run_dir.exists() and list(d.run_dir.iterdir()))
            d.dir.cleanup()

    @host.posix_only("sockets")
    def test_what_was_asked_before_the_stop_is_answered(self):
        with Daemon() as d, Peer(d.path("increment")) as p:
            p.greet()
            p.ask(peer.increment(1))
            p.send(peer.increment(41, id=2))
            d.stop()
            self.assertEqual(p.recv()[32:], struct.pack("=Q", 42))
            self.assertEqual(p.recv(), b"")

    def test_a_live_endpoint_is_respected(self):
        with Daemon() as d:
            status, out, err = peer.run("viaduct", "serve", "--run-dir", d.run_dir, "increment")
            self.assertNotEqual(status, 0)
            self.assertIn("increment" if host.WINDOWS else "increment.sock", err)
            d.works()

    @host.posix_only("sockets")
    def test_an_endpoint_of_another_program_is_respected(self):
        """A netipc server knows nothing of our lock: that it accepts is enough."""
        with tempfile.TemporaryDirectory() as dir, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.bind(dir + "/increment.sock")
            s.listen(4)
            status, out, err = peer.run("viaduct", "serve", "--run-dir", dir, "increment")
            self.assertNotEqual(status, 0)
            self.assertIn("increment.sock", err)
            self.assertEqual(os.listdir(dir), ["increment.sock"])

    @host.posix_only("sockets")
    def test_stale_endpoints_are_taken_over(self):
        with tempfile.TemporaryDirectory() as dir:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.bind(dir + "/increment.sock")
            pathlib.Path(dir, "string-reverse.sock").write_text("a file")
            pathlib.Path(dir, "cgroups-snapshot.sock").symlink_to("/nowhere")
            with Daemon(run_dir=dir) as d:
                d.works()

    @host.posix_only("modes")
    def test_socket_is_the_owners_alone(self):
        old = os.umask(0)
        try:
            with Daemon() as d:
                self.assertEqual(d.path("increment").stat().st_mode & 0o777, 0o600)
        finally:
            os.umask(old)

    @host.posix_only("sockets")
    def test_probes_are_harmless(self):
        with Daemon() as d:
            for _ in range(50):
                self.assertTrue(peer.reachable(d.path("increment")))
            d.works()

    def test_token(self):
        with Daemon("token = 77\n") as d:
            self.assertEqual(d.call("--token", "77", "increment", "1")[1].strip(), "2")
            status, out, err = d.call("--token", "78", "increment", "1")
            self.assertIn("AUTH_FAILED", err)
            self.assertNotEqual(status, 0)


if __name__ == "__main__":
    unittest.main()
