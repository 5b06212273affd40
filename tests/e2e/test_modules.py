# SPDX-License-Identifier: Apache-2.0
"""Modules that are missing, untrusted, broken or replaced: the reason is said, exactly, on both sides."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import peer
from peer import host
from peer import Daemon


class Modules(unittest.TestCase):
    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.modules = pathlib.Path(dir.name).resolve() / "modules"
        shutil.copytree(peer.MODULES, self.modules)
        self.env = peer.environment(VIADUCT_MODULE_PATH=str(self.modules))

    def spoil(self, name, how):
        path = self.modules / name
        new = path.with_name("new")
        if how == "removed":
            path.unlink()
        elif how == "world-writable":
            path.chmod(0o777)
        elif how == "garbage":
            new.write_bytes(b"this is not a module\n" * 100)
            new.replace(path)
        elif how == "truncated":
            new.write_bytes(path.read_bytes()[:1000])
            new.replace(path)
        elif how == "other ABI":
            data = path.read_bytes()
            self.assertEqual(data.count(b"viaduct-module\0abi=1\0"), 1)
            new.write_bytes(data.replace(b"viaduct-module\0abi=1\0", b"viaduct-module\0abi=7\0"))
            new.replace(path)

    def restore(self, name):
        shutil.copy(peer.MODULES / name, self.modules / "good")
        (self.modules / "good").replace(self.modules / name)

    REASONS = {
        "removed": "provides",
        "world-writable": "may write" if host.WINDOWS else "writable by others",
        "garbage": "not a DLL" if host.WINDOWS else "ELF",
        "truncated": "section",
        "other ABI": "ABI",
    }

    def test_service_module_of_a_server(self):
        for how, reason in self.REASONS.items():
            with self.subTest(how), Daemon(env=self.env) as d:
                self.spoil("service-increment" + host.MODULE, how)
                status, out, err = d.call("--explain", "increment", "41", env=self.env)
                self.restore("service-increment" + host.MODULE)
                self.assertNotEqual(status, 0)
                self.assertIn("INTERNAL_ERROR", err)
                self.assertIn(reason, err)
                self.assertIn("is gone" if how == "removed" else reason, d.log())
                d.works()

    def test_transport_module_of_a_client(self):
        with Daemon() as d:
            for how, reason in self.REASONS.items():
                with self.subTest(how):
                    self.spoil(host.BASELINE + host.MODULE, how)
                    status, out, err = d.call("--explain", "increment", "41", env=self.env)
                    self.assertNotEqual(status, 0)
                    self.assertIn(reason, err)
                    if how != "removed":
                        self.assertIn(host.BASELINE + host.MODULE, err)
                    self.restore(host.BASELINE + host.MODULE)

    def test_nothing_to_change_to(self):
        with Daemon() as d:
            says = "no upgrade here: none of "
            self.assertNotIn(says, d.call("--explain", "increment", "41", env=self.env)[2])
            for name in host.UPGRADES:
                (self.modules / (name + host.MODULE)).unlink()
            status, out, err = d.call("--explain", "increment", "41", env=self.env)
            self.assertEqual((status, out), (0, "42\n"), err)
            self.assertRegex(err, r"profile selected: +0x1\n")
            self.assertIn(says, err)

    def test_why_lists_every_refused_file(self):
        for name, how in ((host.BASELINE + host.MODULE, "world-writable"), ("loop" + host.MODULE, "garbage"), ("fault" + host.MODULE, "other ABI")):
            self.spoil(name, how)
        (self.modules / ("notes" + host.MODULE)).write_text("")
        status, out, err = peer.run("viaduct", "modules", "--why", env=self.env)
        self.assertEqual(status, 0, err)
        for name, reason in ((host.BASELINE + host.MODULE, host.WRITABLE if host.WINDOWS else "0777"), ("loop" + host.MODULE, self.REASONS["garbage"]), ("fault" + host.MODULE, "ABI"), ("notes" + host.MODULE, "")):
            line = next(line for line in out.splitlines() if name in line)
            self.assertIn("refused", line)
            self.assertIn(reason, line)

    def test_replaced_while_loaded(self):
        """Whatever happens to the file, what was loaded goes on."""
        with Daemon(env=self.env) as d:
            d.works()
            for name in (host.BASELINE + host.MODULE, "service-increment" + host.MODULE, "codec-increment" + host.MODULE):
                with open(self.modules / name, "r+b") as f:
                    f.truncate(100)
            d.works()
            for name in (host.BASELINE + host.MODULE, "service-increment" + host.MODULE, "codec-increment" + host.MODULE):
                (self.modules / name).write_bytes(b"\0" * 65536)
            d.works()

    def test_loaded_on_the_first_call_only(self):
        with Daemon(env=self.env) as d:
            self.assertNotIn("service.increment", d.log())
            d.works()
            self.assertIn("org.viaduct.service.increment", d.log())
            self.assertNotIn("service.string-reverse", d.log())
            self.assertNotIn("service.cgroups", d.log())

    @host.posix_only("modes")
    @unittest.skipUnless(os.geteuid() == 0, "needs root to make a file of another user")
    def test_foreign_owner(self):
        os.chown(self.modules / (host.BASELINE + host.MODULE), 12345, 12345)
        status, out, err = peer.run("viaduct", "modules", "--why", env=self.env)
        line = next(line for line in out.splitlines() if host.BASELINE + host.MODULE in line)
        self.assertIn("12345", line)


class Locks(unittest.TestCase):
    """--module-policy locked: a module is loaded only as a lock of its directory lists it."""

    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.modules = pathlib.Path(dir.name).resolve() / "modules"
        shutil.copytree(peer.MODULES, self.modules)
        self.env = peer.environment(VIADUCT_MODULE_PATH=str(self.modules))
        self.lock(self.modules / "modules.lock", [p for p in self.modules.iterdir() if p.suffix == host.MODULE])

    @staticmethod
    def lock(path, files):
        path.write_text("".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in sorted(files)))

    def flip(self, name):
        """Changes one bit of the last byte, the way a package manager replaces a file. Both digests."""
        path = self.modules / (name + host.MODULE)
        data = path.read_bytes()
        changed = data[:-1] + bytes([data[-1] ^ 1])
        (self.modules / "new").write_bytes(changed)
        (self.modules / "new").replace(path)
        return hashlib.sha256(data).hexdigest(), hashlib.sha256(changed).hexdigest()

    def states(self, *options):
        status, out, err = peer.run("viaduct", "modules", "--json", *options, env=self.env)
        self.assertEqual(status, 0, err)
        return {pathlib.PurePath(f["path"].replace("\\", "/")).stem: f for f in json.loads(out)["files"] if f["path"] != "(builtin)"}

    def test_everything_that_is_listed_works(self):
        with Daemon() as d:
            status, out, err = d.call("--explain", "--module-policy", "locked", "increment", "41", env=self.env)
            self.assertEqual((status, out), (0, "42\n"), err)
            self.assertNotIn("refused", err)
        for name, f in self.states("--module-policy", "locked").items():
            self.assertEqual(f["state"], "found", (name, f["reason"]))

    def test_a_flipped_bit_is_named(self):
        for name in ("codec-increment", host.BASELINE):
            with self.subTest(name), Daemon() as d:
                listed, found = self.flip(name)
                why = f"{name}{host.MODULE}: locked: expected sha256 {listed}, found {found} (listed in modules.lock)"
                status, out, err = d.call("--explain", "--module-policy", "locked", "increment", "41", env=self.env)
                self.assertNotEqual(status, 0)
                self.assertEqual(out, "")
                self.assertIn(why, err)
                status, out, err = d.call("--module-policy", "any", "increment", "41", env=self.env)
                self.assertEqual((status, out), (0, "42\n"), err)
                status, out, err = peer.run("viaduct", "modules", "--why", "--module-policy", "locked", env=self.env)
                self.assertEqual(status, 0, err)
                line = next(line for line in out.splitlines() if name + host.MODULE in line)
                self.assertIn("refused", line)
                self.assertIn(listed, line)
                self.assertIn(found, line)
                self.assertEqual(self.states()[name]["state"], "found")
                self.flip(name)

    def test_a_file_of_ones_own(self):
        shutil.copy(self.modules / ("codec-increment" + host.MODULE), self.modules / ("0" + host.MODULE))
        f = self.states("--module-policy", "locked")["0"]
        self.assertEqual((f["state"], f["reason"]), ("refused", "locked: no modules.lock lists it"))
        (self.modules / "modules.lock.d").mkdir()
        self.lock(self.modules / "modules.lock.d" / "mine.lock", [self.modules / ("0" + host.MODULE)])
        self.assertEqual(self.states("--module-policy", "locked")["0"]["state"], "found")

    def test_a_lock_that_others_may_write_counts_for_nothing(self):
        (self.modules / "modules.lock").chmod(0o666)
        for name, f in self.states("--module-policy", "locked").items():
            self.assertEqual(f["state"], "refused", name)
            self.assertIn("locked: ", f["reason"])
            self.assertIn("modules.lock", f["reason"])
            self.assertIn(host.WRITABLE, f["reason"])

    @unittest.skipUnless(shutil.which("sha256sum"), "needs sha256sum")
    def test_locks_of_the_usual_tool(self):
        names = [p.name for p in self.modules.iterdir() if p.suffix == host.MODULE]
        for option in ("--text", "--binary"):
            done = subprocess.run(["sha256sum", option, *names], cwd=self.modules, check=True, capture_output=True)
            (self.modules / "modules.lock").write_bytes(done.stdout)
            for name, f in self.states("--module-policy", "locked").items():
                self.assertEqual(f["state"], "found", (name, f["reason"]))

    def test_the_server_is_held_to_them(self):
        """A service module is loaded at its first call, so that is when it is refused; a repaired one works."""
        self.flip("service-increment")
        run_dir = self.modules.parent / "run"
        server = subprocess.Popen(host.command(peer.BIN / "viaduct", "serve", "--run-dir", run_dir, "--module-policy", "locked", "increment"),
                                  env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        call = ("viaduct", "call", "--run-dir", run_dir, "increment", "41")
        try:
            self.assertIn("serving increment in", server.stdout.readline())
            status, out, err = peer.run(*call)
            self.assertNotEqual(status, 0)
            self.assertIn("INTERNAL_ERROR", err)
            self.flip("service-increment")
            self.assertEqual(peer.run(*call)[:2], (0, "42\n"))
            server.send_signal(host.STOP)
            self.assertEqual(server.wait(peer.DEADLINE), 0)
        finally:
            server.kill()
            server.wait(peer.DEADLINE)
            server.stdout.close()

    def test_another_policy_is_wrong_usage(self):
        for command in (("modules",), ("call", "increment"), ("serve", "increment"), ("bench",)):
            status, out, err = peer.run("viaduct", command[0], "--module-policy", "strict", *command[1:], env=self.env)
            self.assertEqual(status, 2, command)
            self.assertIn("--module-policy: expected any or locked, found 'strict'", err)


if __name__ == "__main__":
    unittest.main()
