# SPDX-License-Identifier: Apache-2.0
"""The example of a client, built with nothing but an installation and run against the daemon of that installation."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import installed
import peer
from peer import host

ROOT = pathlib.Path(__file__).resolve().parents[2]
CC = os.environ.get("VIADUCT_CC", "cc")


@host.posix_only("unix")
class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        dir = tempfile.TemporaryDirectory()
        cls.addClassCleanup(dir.cleanup)
        cls.prefix = installed.install(pathlib.Path(dir.name).resolve() / "root")
        cls.lib = next(cls.prefix.rglob("libviaduct.so.*")).parent

    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.dir = pathlib.Path(dir.name).resolve()
        self.source = self.dir / "client"
        shutil.copytree(ROOT / "docs/examples/client", self.source)

    def run_here(self, *command, **more):
        """Runs a command without anything of the build in its environment."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("VIADUCT_") and k != "LD_LIBRARY_PATH"}
        p = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=self.source,
                           env=dict(env, XDG_RUNTIME_DIR=str(self.dir), **more), timeout=peer.DEADLINE)
        return p.returncode, p.stdout, p.stderr

    def build(self, *command, **more):
        status, out, err = self.run_here(*command, CFLAGS="-Wall -Wextra -Werror", CC=CC, **more)
        self.assertEqual(status, 0, out + err)
        return out

    def calls(self, program, **more):
        """The program talks to the installed daemon, and says what is wrong when that is gone."""
        env = {k: v for k, v in peer.environment().items() if k != "VIADUCT_MODULE_PATH"}
        with contextlib.ExitStack() as undo:
            undo.callback(setattr, peer, "BIN", peer.BIN)
            peer.BIN = self.prefix / installed.BIN
            with peer.Daemon(env=env, run_dir=self.dir / "viaduct") as d:
                self.assertEqual(os.readlink(f"/proc/{d.p.pid}/exe"), str(self.prefix / installed.BIN / "viaductd"))
                status, out, err = self.run_here(program, "41", **more)
                self.assertEqual((status, out), (0, "42\n"), err + d.log())
                self.assertIn(f"loaded from {self.lib}/viaduct/1/service-increment.so", d.log())
        status, out, err = self.run_here(program, "41", **more)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("VIA_UNREACH", err)

    def test_manual_and_completion(self):
        share = self.prefix / "share"
        pages = {p.name for p in (ROOT / "docs/man").iterdir()}
        found = {p.name.removesuffix(".gz") for p in share.glob("man/man[1-8]/*") if p.parent.name[-1] == p.name.removesuffix(".gz")[-1]}
        self.assertEqual(found, pages)
        self.assertEqual({p.name for p in (share / "bash-completion/completions").iterdir()}, {"viaduct", "viaductd"})

    def test_cmake(self):
        cmake = installed.setting("CMAKE_COMMAND")
        for name in "viaduct", "Viaduct":
            lists = self.source / "CMakeLists.txt"
            text = lists.read_text()
            self.assertIn("find_package(viaduct ", text)
            lists.write_text(text.replace("find_package(viaduct ", f"find_package({name} "))
            build = self.source / f"build-{name}"
            self.build(cmake, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
            self.assertIn(f"{self.lib}/cmake/viaduct", (build / "CMakeCache.txt").read_text())
            self.build(cmake, "--build", build)
            self.calls(build / "client")

    def test_make(self):
        pkg_config = installed.pkg_config(self.prefix)
        self.build("make", **pkg_config)
        self.calls(self.source / "client", LD_LIBRARY_PATH=str(self.lib))
        module_dir = self.build("pkg-config", "--variable=moduledir", "viaduct", **pkg_config).strip()
        system = pkg_config.get("PKG_CONFIG_SYSROOT_DIR", "")
        self.assertTrue(pathlib.Path(system + module_dir.removeprefix(system), "uds.so").exists(), module_dir)


if __name__ == "__main__":
    unittest.main()
