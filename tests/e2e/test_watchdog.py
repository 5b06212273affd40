# SPDX-License-Identifier: Apache-2.0
"""The watchdog of a service manager hears from the daemon while its workers go on, and only then."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import peer
from peer import host

FIXTURE = pathlib.Path(os.environ.get("VIADUCT_FIXTURE", ""))


@host.posix_only("sockets")
class Watchdog(unittest.TestCase):
    def setUp(self):
        undo = contextlib.ExitStack()
        self.addCleanup(undo.close)
        self.dir = pathlib.Path(undo.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.modules = self.dir / "modules"
        shutil.copytree(peer.MODULES, self.modules)
        shutil.copy(FIXTURE, self.modules / "wedge.so")
        self.gate = self.dir / "gate"
        os.mkfifo(self.gate)
        self.notify = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.notify.bind(str(self.dir / "notify"))
        self.notify.settimeout(peer.DEADLINE)
        self.undo = undo

    def start(self, **watchdog):
        """The daemon, ready, with what a service manager would say of its watchdog."""
        config = self.dir / "viaductd.conf"
        config.write_text(f"[daemon]\nrun_dir = {self.dir}/run\nworkers = 1\ndrain_timeout = 7s\n"
                          f"[module org.viaduct.test.wedge]\ngate = {self.gate}\n")
        env = peer.environment(VIADUCT_MODULE_PATH=str(self.modules), NOTIFY_SOCKET=str(self.dir / "notify"))
        self.log_path = self.dir / "log"
        with open(self.log_path, "w") as log:
            # the shell becomes the daemon: its number can be told before
            script = watchdog.pop("script", "") + 'exec "$0" "$@"'
            self.p = subprocess.Popen(["sh", "-c", script, str(peer.BIN / "viaductd"), "-c", str(config)],
                                      env=dict(env, **watchdog), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.undo.callback(self.p.wait)
        self.undo.callback(self.p.kill)
        self.assertEqual(self.words()[0], "READY=1", self.log())

    def words(self):
        return self.notify.recv(4096).decode().split("\n")

    def silent(self):
        """Whether nothing has been said by now."""
        self.notify.setblocking(False)
        try:
            return not self.notify.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.notify.settimeout(peer.DEADLINE)

    def log(self):
        return self.log_path.read_text()

    def call(self, *args):
        command = [str(peer.BIN / "viaduct"), "call", "--run-dir", str(self.dir / "run"), "--timeout", "25s", *args]
        env = peer.environment(VIADUCT_MODULE_PATH=str(self.modules))
        p = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.undo.callback(p.stdout.close)
        self.undo.callback(p.wait)
        self.undo.callback(p.kill)
        return p

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        self.assertEqual(self.p.wait(peer.DEADLINE), 0, self.log())

    def test_pings_come(self):
        """As often as they must, and as often as that only."""
        self.start(WATCHDOG_USEC="400000", script="WATCHDOG_PID=$$; export WATCHDOG_PID; ")
        begin = time.monotonic()
        for _ in range(6):
            self.assertEqual(self.words(), ["WATCHDOG=1"])
        self.assertGreaterEqual(time.monotonic() - begin, 0.9)  # the first one comes at once
        self.stop()

    def test_a_reload_may_take_its_time(self):
        self.start(WATCHDOG_USEC="60000000")
        self.assertEqual(self.words(), ["WATCHDOG=1"])
        self.p.send_signal(signal.SIGHUP)
        words = self.words()
        self.assertEqual((words[0], words[2]), ("RELOADING=1", "WATCHDOG_USEC=67000000"))
        self.assertEqual(self.words(), ["READY=1", "WATCHDOG_USEC=60000000"])
        self.stop()

    def wait_for_log(self, text):
        peer.wait_until(lambda: text in self.log() or self.p.poll() is not None, text)
        self.assertIn(text, self.log())

    def test_a_wedged_worker_silences_it(self):
        self.start(WATCHDOG_USEC="200000")
        stuck = self.call("test-wedge", "0")
        self.wait_for_log("test-wedge: 1 of 1 workers have not gone round since the last look")
        while not self.silent():
            pass
        self.assertEqual(self.call("increment", "41").communicate(timeout=peer.DEADLINE)[0], "42\n")  # others go on
        self.assertTrue(self.silent())
        self.assertEqual(self.log().count("have not gone round"), 1)
        peer.open_gate(self.gate)
        self.assertEqual(stuck.communicate(timeout=peer.DEADLINE)[0], "1\n")
        self.assertEqual(self.words(), ["WATCHDOG=1"])
        self.wait_for_log("all workers go on")
        self.stop()

    def test_a_service_that_may_block_does_not(self):
        self.start(WATCHDOG_USEC="200000")
        patient = self.call("test-patient", "0")
        self.wait_for_log("org.viaduct.test.wedge: version")
        for _ in range(5):
            self.assertEqual(self.words(), ["WATCHDOG=1"])
        peer.open_gate(self.gate)
        self.assertEqual(patient.communicate(timeout=peer.DEADLINE)[0], "1\n")
        self.assertNotIn("gone round", self.log())
        self.stop()

    def test_not_ours(self):
        self.start(WATCHDOG_USEC="1000", WATCHDOG_PID="1")
        self.quiet("")

    def test_none(self):
        self.start()
        self.quiet("")

    def test_not_understood(self):
        for name, value in (("USEC", "0"), ("USEC", ""), ("USEC", "-1"), ("USEC", "0x10"), ("USEC", "5s"), ("USEC", " 5"),
                            ("USEC", "99999999999999999999"), ("PID", "0"), ("PID", "me")):
            with self.subTest(f"{name}={value}"):
                self.start(**{"WATCHDOG_USEC": "1000", f"WATCHDOG_{name}": value})
                self.quiet(f"$WATCHDOG_{name}: expected a number of 1..")

    def quiet(self, says):
        """No ping, and no wake-up of the thread that would make it: it sleeps without an end."""
        self.call("increment", "1").communicate(timeout=peer.DEADLINE)
        stat = pathlib.Path(f"/proc/{self.p.pid}/syscall")
        if stat.exists() and os.access(stat, os.R_OK):
            peer.wait_until(lambda: stat.read_text().split()[3:4] == ["0x0"], "a sleep without a timeout")
        self.assertTrue(self.silent())
        self.assertIn(says, self.log())
        self.stop()
        self.assertEqual(self.words(), ["STOPPING=1"])


if __name__ == "__main__":
    unittest.main()
