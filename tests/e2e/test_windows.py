# SPDX-License-Identifier: Apache-2.0
"""What only a Windows build shows: two processes over the pipe and shared memory, module files that are replaced by the
means of Windows while they are in use, and names beyond ASCII."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import peer
from peer import Daemon, host

CONTROL = os.environ.get("VIADUCT_CONTROL", "").removesuffix(".exe")  # tests/tools/fixture_control.c


@unittest.skipUnless(host.WINDOWS, "a Windows build")
class Windows(unittest.TestCase):
    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.dir = pathlib.Path(dir.name)
        self.modules = self.dir / "modules"
        shutil.copytree(peer.MODULES, self.modules)
        self.env = peer.environment(VIADUCT_MODULE_PATH=str(self.modules))

    def control(self, *args):
        p = subprocess.run(host.command(CONTROL, *args), capture_output=True, text=True, timeout=peer.DEADLINE, stdin=subprocess.DEVNULL)
        self.assertEqual((p.returncode, p.stderr), (0, ""))

    def explained(self, daemon, profile, **kw):
        status, out, err = daemon.call("--explain", "increment", "41", **kw)
        self.assertEqual((status, out), (0, "42\n"), err + daemon.log())
        self.assertRegex(err, rf"(?m)^profile selected: +{profile:#x}$")
        return err

    def test_two_processes(self):
        with Daemon() as d:
            err = self.explained(d, 0x2)
            self.assertRegex(err, r"(?m)^0x2 +org\.viaduct\.winshm +selected")
            self.assertRegex(err, r"(?m)^0x1 +org\.viaduct\.pipe +offered, not selected")
            err = self.explained_with(d, "0x1", 0x1)
            self.assertRegex(err, r"(?m)^0x1 +org\.viaduct\.pipe +selected")
            self.explained_with(d, "0x5", 0x4)

    def explained_with(self, daemon, profiles, selected):
        status, out, err = daemon.call("--explain", "--profiles", profiles, "increment", "41")
        self.assertEqual((status, out), (0, "42\n"), err + daemon.log())
        self.assertRegex(err, rf"(?m)^profile selected: +{selected:#x}$")
        return err

    def test_shared_memory_that_is_missing_at_the_client(self):
        (self.modules / "winshm.dll").unlink()
        with Daemon() as d:
            err = self.explained(d, 0x1, env=self.env)
            self.assertRegex(err, r"(?m)^0x2 .*no module")

    def test_shared_memory_that_is_deleted_while_the_server_runs(self):
        with Daemon(env=self.env) as d:
            self.control("delete", self.modules / "winshm.dll")
            err = self.explained(d, 0x1)
            self.assertRegex(err, r"(?m)^0x2 +org\.viaduct\.winshm +offered, the peer does not have it")
            self.assertIn("winshm.dll", d.log())

    def test_modules_are_replaced_while_they_are_loaded(self):
        with Daemon(env=self.env) as d:
            d.works()
            for name in ("pipe.dll", "winshm.dll", "service-increment.dll", "codec-increment.dll"):
                shutil.copy(peer.MODULES / name, self.dir / "new")
                self.control("move", self.dir / "new", self.modules / name)
            d.works()
            for name in ("pipe.dll", "service-increment.dll"):
                self.control("delete", self.modules / name)
            d.works()

    def test_names_beyond_ascii(self):
        base = self.dir / "Prüfung Ω 試験"
        base.mkdir()
        with Daemon("[service string-reverse]\n", run_dir=base) as d:
            d.works()
            self.assertIn("Prüfung Ω 試験", d.log())
        conf = base / "dæmon.conf"
        conf.write_text("[nonsense\n")
        status, out, err = peer.run("viaductd", "--check", "-c", conf)
        self.assertEqual((status, out), (2, ""))
        self.assertTrue(err.startswith(f"viaductd: {host.path(conf)}:1:10: expected ']'"), err)
        with open(base / "größe.json", "w") as f:
            f.write('{"head": {"value": 5}}')
        self.assertEqual(peer.run("viaduct", "encode", "increment:request", base / "größe.json")[1], "\5" + 7 * "\0")

    def test_what_is_left_of_modules_in_memory(self):
        """The private copies of modules go with the process; those of one that was killed with the next."""
        before = self.copies()
        with Daemon() as d:
            d.works()
            self.assertGreater(self.copies(), before)
            d.kill()
        with Daemon() as d:
            d.works()
        self.assertLessEqual(self.copies(), before)

    def copies(self):
        return set(pathlib.Path(os.environ["WINEPREFIX"], "drive_c", "users").glob("*/**/viaduct-*/*.dll"))


if __name__ == "__main__":
    unittest.main()
