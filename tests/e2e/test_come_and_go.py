# SPDX-License-Identifier: Apache-2.0
"""Transports that come to and go from an installation whose daemon runs: the next handshake knows it."""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import peer
from peer import host
from peer import Daemon
from test_upgrades import BASELINE, HYBRID, RING, Fallback, row, selected

FIXTURE = pathlib.Path(os.environ.get("VIADUCT_FIXTURE", ""))
UPGRADES = "ring", "posixshm"


@host.posix_only("linux")
class ComeAndGo(Fallback):
    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.modules = pathlib.Path(dir.name).resolve() / "modules"
        shutil.copytree(peer.MODULES, self.modules)
        self.env = peer.environment(VIADUCT_MODULE_PATH=str(self.modules))

    def daemon(self, config=""):
        return Daemon(config, env=self.env)

    def remove(self, *names):
        for name in names:
            (self.modules / f"{name}.so").unlink()

    def add(self, *names):
        """As package managers do: whole, under its name."""
        for name in names:
            shutil.copy(peer.MODULES / f"{name}.so", self.modules / "new")
            (self.modules / "new").replace(self.modules / f"{name}.so")

    def test_added(self):
        self.remove("ring", "posixshm")
        with self.daemon() as d:
            err = self.call(d, expect=BASELINE)  # of a client that has all of them
            for profile in RING, HYBRID:
                self.assertIn("the peer does not have it", row(err, profile))
            self.add("posixshm")
            self.call(d, expect=HYBRID)
            self.add("ring")
            self.call(d, expect=RING)
            for name in UPGRADES:
                self.assertEqual(d.log().count(f"org.viaduct.{name}: found {self.modules}/{name}.so"), 1, d.log())

    def test_removed_one_after_the_other(self):
        with self.daemon() as d:
            self.call(d, expect=RING)
            self.remove("ring")
            for _ in range(3):
                err = self.call(d, expect=HYBRID)
            self.assertIn("the peer does not have it", row(err, RING))
            self.remove("posixshm")
            self.call(d, expect=BASELINE)
            self.add("ring")
            for _ in range(3):
                self.call(d, expect=RING)
            self.remove("ring")
            self.call(d, expect=BASELINE)
            self.assertEqual(d.log().count("/ring.so is gone"), 2, d.log())
            self.assertEqual(d.log().count("/posixshm.so is gone"), 1, d.log())

    def test_the_report_knows_it(self):
        """Nobody has connected since: the daemon was idle when it went, and looks."""
        with self.daemon() as d:
            self.call(d, expect=RING)
            self.remove("ring")
            d.p.send_signal(signal.SIGUSR1)
            peer.wait_until(lambda: "sessions open" in d.log(), "the report")
            self.assertRegex(d.log(), r"module org\.viaduct\.ring \S+ is gone: \S+/ring\.so: the file is gone")
            self.assertEqual(d.log().count(f"org.viaduct.ring: {self.modules}/ring.so is gone"), 1)
            self.call(d, expect=HYBRID)
            self.assertEqual(d.log().count(f"org.viaduct.ring: {self.modules}/ring.so is gone"), 1)

    def test_one_that_is_refused(self):
        self.remove("ring", "posixshm")
        with self.daemon() as d:
            self.call(d, expect=BASELINE)
            (self.modules / "ring.so").write_bytes(b"this is not a module\n" * 10)
            for _ in range(3):
                self.call(d, expect=BASELINE)
            self.assertEqual(d.log().count(f"ring.so: {self.modules}/ring.so is refused: "), 1, d.log())
            self.add("ring")
            self.call(d, expect=RING)

    def test_sessions_that_run_go_on(self):
        """A call is under way when its transport goes, and others come; its answer takes the way it came."""
        shutil.copy(FIXTURE, self.modules / "wedge.so")
        gate = self.modules / "gate"
        os.mkfifo(gate)
        command = [str(peer.BIN / "viaduct"), "call", "--explain", "--timeout", "25s", "test-patient", "0"]
        with self.daemon(f"[module org.viaduct.test.wedge]\ngate = {gate}\n") as d:
            command[2:2] = ["--run-dir", str(d.run_dir)]
            p = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                peer.wait_until(lambda: "org.viaduct.test.wedge: version" in d.log(), "the call")
                self.remove("ring", "posixshm", "uds")  # the listener keeps its copy, too
                self.call(d, expect=BASELINE)
                peer.open_gate(gate)
                out, err = p.communicate(timeout=peer.DEADLINE)
            finally:
                p.kill()
                p.wait()
            self.assertEqual((p.returncode, out, hex(selected(err))), (0, "1\n", hex(RING)), err + d.log())

    def test_the_client_falls_back(self):
        """Removed on the client's side: it says that the server has it, and nothing here provides it."""
        with Daemon() as d:
            self.remove(*UPGRADES)
            err = self.call(d, expect=BASELINE, env=self.env)
            for profile in RING, HYBRID:
                self.assertIn("the peer offers it, no module that was found provides it", row(err, profile))

    def test_removed_on_both_sides(self):
        """As from an installation: the client says that there is nothing to change to, though nobody offers it."""
        with self.daemon() as d:
            self.call(d, expect=RING, env=self.env)
            self.remove(*UPGRADES)
            err = self.call(d, expect=BASELINE, env=self.env)
            self.assertRegex(err, rf"no upgrade here: none of \d+ module files provides one in {self.modules}\n")

    def test_a_service_goes_with_the_next_reload(self):
        with self.daemon() as d:
            d.works()
            self.remove("service-increment")
            d.works()  # it is loaded
            d.p.send_signal(signal.SIGHUP)
            peer.wait_until(lambda: "reloaded: " in d.log(), "the reload")
            self.assertIn("0 services added, 0 changed, 1 removed", d.log())
            self.assertNotEqual(d.call("increment", "1")[0], 0)
            self.add("service-increment")
            d.p.send_signal(signal.SIGHUP)
            peer.wait_until(lambda: d.log().count("reloaded: ") == 2, "the reload")
            d.works()


@host.posix_only("modes")
class Locked(unittest.TestCase):
    """modules.policy = locked: what differs from its lock is named, the rest is served."""

    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.modules = pathlib.Path(dir.name).resolve() / "modules"
        shutil.copytree(peer.MODULES, self.modules)
        (self.modules / "modules.lock.d").mkdir()
        self.env = peer.environment(VIADUCT_MODULE_PATH=str(self.modules))
        self.lock()

    def lock(self):
        lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in sorted(self.modules.glob("*.so"))]
        (self.modules / "modules.lock.d" / "all.lock").write_text("# every one\n" + "".join(lines))

    def flip(self, name):
        """One byte, in place."""
        data = bytearray((self.modules / name).read_bytes())
        data[len(data) // 2] ^= 1
        (self.modules / name).write_bytes(data)

    def daemon(self):
        return Daemon("modules.policy = locked\n", env=self.env)

    def test_as_packaged(self):
        with self.daemon() as d:
            d.works()
            self.assertNotIn("refused", d.log())

    def test_a_flipped_byte_of_a_service(self):
        self.flip("service-increment.so")
        with self.daemon() as d:
            self.assertRegex(d.log(), r"service-increment\.so: refused: .*lock.*sha256")
            self.assertNotEqual(d.call("increment", "1")[0], 0)
            self.assertEqual(d.call("string-reverse", "abc")[1].strip(), "cba")
            self.flip("service-increment.so")
            d.p.send_signal(signal.SIGHUP)
            peer.wait_until(lambda: "reloaded: " in d.log(), "the reload")
            d.works()

    def test_a_flipped_byte_of_a_transport(self):
        self.flip("uds.so")
        with self.assertRaisesRegex(AssertionError, r"uds\.so: .*lock.*sha256"):
            self.daemon()

    def test_a_file_that_no_lock_lists(self):
        ring = (self.modules / "ring.so").read_bytes()
        (self.modules / "ring.so").unlink()
        self.lock()
        with self.daemon() as d:
            d.works()
            (self.modules / "ring.so").write_bytes(ring)
            for _ in range(3):
                d.works()
            self.assertEqual(d.log().count("ring.so is refused: "), 1, d.log())
            self.assertNotIn("org.viaduct.ring: version", d.log())

    def test_check(self):
        self.flip("service-increment.so")
        config = self.modules / "a.conf"
        config.write_text("[daemon]\nmodules.policy = locked\n[service increment]\n")
        status, out, err = peer.run("viaductd", "--check", "-c", config, env=self.env)
        self.assertEqual(status, 6, err)
        self.assertRegex(err, r"service-increment\.so: .*lock.*sha256")
        for value, says in ("none", "expected one of any locked"), ("locked\nload = direct", "expected load = copy"):
            config.write_text(f"[daemon]\nmodules.policy = {value}\n")
            status, out, err = peer.run("viaductd", "--check", "-c", config, env=self.env)
            self.assertEqual(status, 2, err)
            self.assertIn(says, err)

    def test_waits_for_the_next_start(self):
        with Daemon(env=self.env) as d:
            d.config.write_text(d.config.read_text() + "modules.policy = locked\n")
            d.p.send_signal(signal.SIGHUP)
            peer.wait_until(lambda: "reloaded: " in d.log(), "the reload")
            self.assertIn("modules.policy is taken over by the next start only", d.log())


if __name__ == "__main__":
    unittest.main()
