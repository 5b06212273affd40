# SPDX-License-Identifier: Apache-2.0
"""What an installed daemon is started with: the sample of its configuration, the unit, its user, its directory."""

import configparser
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import installed
import peer
from peer import host
from test_man import keys_of_source

PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 38, 65, 1


class Unit(configparser.RawConfigParser):
    optionxform = staticmethod(str)


@host.posix_only("unix")
class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        dir = tempfile.TemporaryDirectory()
        cls.addClassCleanup(dir.cleanup)
        cls.root = pathlib.Path(dir.name).resolve() / "root"
        cls.prefix = installed.install(cls.root)
        cls.sample = next(cls.root.rglob("etc/viaduct/viaductd.conf"))
        cls.unit_file = cls.prefix / "lib/systemd/system/viaductd.service"
        cls.unit = Unit(strict=True)
        cls.unit.read_string(cls.unit_file.read_text())

    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.dir = pathlib.Path(dir.name).resolve()

    def all_taken_in(self):
        """The sample without a '#' in front of a key or a section, and the modules where they are here."""
        text = re.sub(r"^#(?=[a-z\[])", "", self.sample.read_text(), flags=re.M)
        return re.sub(r"^module_path = .*", f"module_path = {peer.MODULES}", text, flags=re.M)

    def test_sample_is_valid(self):
        self.assertTrue((self.sample.parent / "viaductd.conf.d").is_dir())
        self.assertEqual(peer.run("viaductd", "--check", "-c", self.sample)[0], 0)
        file = self.dir / "all.conf"
        file.write_text(self.all_taken_in())
        status, out, err = peer.run("viaductd", "--check", "-c", file)
        self.assertEqual(status, 0, err)

    def test_what_the_sample_has_in_force(self):
        """Members of the daemon's group may call; all else is as without a configuration."""
        lines = [line for line in self.sample.read_text().splitlines() if line and not line.startswith("#")]
        self.assertEqual(lines, ["[daemon]", "[module org.viaduct.uds]", "uds.mode = 0660"])

    def test_sample_has_every_key(self):
        text = self.all_taken_in()
        sections = dict(re.findall(r"^\[(\w+)[^\]]*\]\n(.*?)(?=^\[|\Z)", text, re.M | re.S))
        for section in "daemon", "service":
            keys = re.findall(r"^([\w.]+) = ", sections[section], re.M)
            self.assertEqual(sorted(keys), sorted(keys_of_source(f"{section}_keys")), section)
        self.assertEqual(re.findall(r"^#[^ a-z\[\n].*", self.sample.read_text(), re.M), [], "neither a remark nor a key")

    def test_sample_serves(self):
        """Modules refuse keys they do not know when they are loaded: all of the sample's are used here."""
        text = re.sub(r"^run_dir = .*\n", "", self.all_taken_in().partition("[daemon]\n")[2], flags=re.M)
        with peer.Daemon(text) as d:  # which begins with [daemon] and a run_dir of its own
            for call in ("--token", "0x1234", "increment", "41"), ("string-reverse", "abc"), ("cgroups-snapshot",):
                status, out, err = d.call(*call)
                self.assertEqual(status, 0, err + d.log())

    def test_unit(self):
        service = self.unit["Service"]
        self.assertEqual(service["ExecStart"], str(installed.PREFIX / installed.BIN / "viaductd"))
        self.assertTrue(pathlib.Path(str(self.root) + service["ExecStart"]).exists())
        self.assertEqual(service["WatchdogSec"], "30s")  # test_watchdog.py: the daemon pings
        users = (self.prefix / "lib/sysusers.d/viaduct.conf").read_text().splitlines()
        user = next(line.split()[1] for line in users if line.startswith("u "))
        self.assertEqual((service["User"], service["Group"]), (user, user))
        lines = (self.prefix / "lib/tmpfiles.d/viaduct.conf").read_text().splitlines()
        dir = next(line.split()[1:5] for line in lines if line.startswith("d "))
        self.assertEqual(dir, ["/run/viaduct", "1775", "root", user])
        self.assertNotIn("RuntimeDirectory", service)
        self.assertEqual((service["ReadWritePaths"], self.unit["Unit"]["AssertPathIsDirectory"]), (dir[0], dir[0]))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd here")
    def test_systemd_takes_the_unit(self):
        unit = self.dir / "viaductd.service"
        unit.write_text(self.unit_file.read_text().replace(self.unit["Service"]["ExecStart"], str(peer.BIN / "viaductd")))
        p = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=peer.DEADLINE)
        complaints = [line for line in p.stderr.splitlines() if "viaductd" in line]
        self.assertEqual((p.returncode, complaints), (0, []), p.stderr)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd here")
    def test_exposure(self):
        """What systemd makes of the switches, as a number: 0 is nothing exposed, 10 everything."""
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(self.unit_file)]
        p = subprocess.run(command, capture_output=True, text=True, timeout=peer.DEADLINE)
        if "unrecognized option" in p.stderr:
            self.skipTest("systemd before 250")
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to give a directory away")
    @unittest.skipUnless(shutil.which("systemd-sysusers") and shutil.which("systemd-tmpfiles"), "no systemd here")
    def test_user_and_directory(self):
        root = self.dir / "root"
        for dir in "etc", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d":
            (root / dir).mkdir(parents=True)
        for name in "sysusers", "tmpfiles":
            shutil.copy(self.prefix / f"lib/{name}.d/viaduct.conf", root / f"usr/lib/{name}.d/viaduct.conf")
        for command in ("systemd-sysusers",), ("systemd-tmpfiles", "--create"):
            p = subprocess.run([*command, f"--root={root}"], capture_output=True, text=True, timeout=peer.DEADLINE)
            self.assertEqual(p.returncode, 0, p.stderr)
        user = next(line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("viaduct:"))
        found = (root / "run/viaduct").stat()
        self.assertEqual((found.st_uid, found.st_gid, found.st_mode & 0o7777), (0, int(user[3]), 0o1775))

    def test_no_memory_becomes_executable(self):
        """MemoryDenyWriteExecute and NoNewPrivileges, as the unit says: modules are mapped all the same."""
        self.assertEqual({self.unit["Service"][k] for k in ("MemoryDenyWriteExecute", "NoNewPrivileges")}, {"yes"})
        libc = ctypes.CDLL(None, use_errno=True)

        def deny():
            if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
            libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)  # Linux 6.3; older ones have nothing like it

        with peer.Daemon(before=deny) as d:
            d.works()


if __name__ == "__main__":
    unittest.main()
