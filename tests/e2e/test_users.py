# SPDX-License-Identifier: Apache-2.0
"""The run directory of a system's daemon, as tmpfiles makes it, and callers of other users."""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import unittest

import peer
from peer import host
from peer import Daemon
from test_upgrades import BASELINE, HYBRID, RING, Fallback, row

DAEMON, MEMBER, STRANGER = 64101, 64102, 64103  # users, each with a group of the same number; nobody has an account


def become(user, *groups):
    """A function for the child: the user and nobody else."""

    def apply():
        os.umask(0o077)
        os.setgroups(groups)
        os.setgid(user)
        os.setuid(user)

    return apply


def can_be_run(user):
    try:
        p = subprocess.run([peer.BIN / "viaduct", "modules"], env=peer.environment(), capture_output=True, preexec_fn=become(user))
    except OSError:
        return False
    return p.returncode == 0 and b"found" in p.stdout


@host.posix_only("linux")
@unittest.skipUnless(host.WINDOWS or os.geteuid() == 0, "needs root to become others")
class Users(Fallback):
    @classmethod
    def setUpClass(cls):
        if not can_be_run(STRANGER):
            raise unittest.SkipTest("other users cannot get at the build directory")

    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        pathlib.Path(dir.name).chmod(0o755)
        self.run_dir = pathlib.Path(dir.name) / "run"
        self.run_dir.mkdir()
        os.chown(self.run_dir, 0, DAEMON)
        self.run_dir.chmod(0o1775)

    @contextlib.contextmanager
    def daemon(self, mode="0660", config=""):
        config = f"serve = listed\n{config}[service increment]\n[module org.viaduct.uds]\nuds.mode = {mode}\n"
        with Daemon(config, run_dir=self.run_dir, before=become(DAEMON), shared=True) as d:
            yield d
        self.assertTrue(self.run_dir.is_dir())  # it was there before

    def refused(self, daemon, user, *groups):
        status, out, err = daemon.call("increment", "1", before=become(user, *groups))
        self.assertNotEqual(status, 0)
        self.assertRegex(err, rf"increment\.sock: permission denied: user {user} is not admitted by mode \d+ of user {DAEMON}, group {DAEMON}")

    def test_as_packaged(self):
        with self.daemon() as d:
            found = d.path("increment").stat()
            self.assertEqual((found.st_uid, found.st_gid, found.st_mode & 0o777), (DAEMON, DAEMON, 0o660))
            for before in None, become(DAEMON), become(MEMBER, DAEMON):
                self.call(d, expect=RING, before=before)
                self.call(d, "--profiles", "0x1", expect=BASELINE, before=before)
            self.refused(d, STRANGER)
            self.refused(d, MEMBER)  # who has left the group

    def test_the_other_shared_memory(self):
        """Its files are the daemon's and root's: for others the session goes on without, and says so."""
        with self.daemon() as d:
            for before in None, become(DAEMON):
                self.call(d, "--profiles", "posixshm,0x1", expect=HYBRID, before=before)
            err = self.call(d, "--profiles", "posixshm,0x1", expect=BASELINE, before=become(MEMBER, DAEMON))
            self.assertIn("failed", row(err, HYBRID))
            self.assertIn("Permission denied", row(err, HYBRID))
            self.assertEqual([p.name for p in self.run_dir.glob("*.ipcshm")], [])

    def test_other_modes(self):
        with self.daemon("0666") as d:
            self.call(d, expect=RING, before=become(STRANGER))
        with self.daemon("0600") as d:
            self.call(d, expect=RING, before=become(DAEMON))
            self.refused(d, MEMBER, DAEMON)

    def serve(self, before):
        command = [peer.BIN / "viaduct", "serve", "--run-dir", self.run_dir, "string-reverse"]
        return subprocess.Popen(command, env=peer.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True, preexec_fn=before)

    def test_members_may_offer_services(self):
        with self.daemon() as d:
            with self.serve(become(MEMBER, DAEMON)) as p:
                try:
                    peer.wait_until(lambda: peer.reachable(d.path("string-reverse")) or p.poll() is not None, "the other server")
                    self.assertIsNone(p.poll())
                    self.assertEqual(d.call("string-reverse", "abc", before=become(MEMBER))[1].strip(), "cba")
                    with self.assertRaises(PermissionError):  # the directory is sticky
                        self.as_user(DAEMON, lambda: os.unlink(d.path("string-reverse")))
                finally:
                    p.terminate()
                    p.wait()
            with self.serve(become(STRANGER)) as p:
                self.assertNotEqual(p.wait(peer.DEADLINE), 0)
                self.assertIn("string-reverse.sock", p.stderr.read())

    def as_user(self, user, what):
        old = os.getgroups()
        os.setgroups([DAEMON])
        os.setegid(user)
        os.seteuid(user)
        try:
            what()
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(old)


if __name__ == "__main__":
    unittest.main()
