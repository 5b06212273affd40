# SPDX-License-Identifier: Apache-2.0
"""The examples of the README are the files in docs/examples, they compile as it says, and they run."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import peer
from peer import host
from peer import Daemon

ROOT = pathlib.Path(__file__).resolve().parents[2]
CC = os.environ.get("VIADUCT_CC", "cc")


@host.posix_only("shell")
class Readme(unittest.TestCase):
    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.dir = pathlib.Path(dir.name).resolve()

    def compile(self, *args):
        p = subprocess.run([CC, "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", *map(str, args)], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)

    def test_blocks_are_the_files(self):
        blocks = re.findall(r"<!-- (docs/examples/\S+) -->\n```c\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
        self.assertEqual(len(blocks), 2)
        for name, text in blocks:
            self.assertEqual(text, (ROOT / name).read_text(), name)

    def test_application(self):
        program = self.dir / "client"
        lib = peer.BIN.parent / "lib"
        self.compile(ROOT / "docs/examples/client.c", "-o", program, f"-L{lib}", f"-Wl,-rpath,{lib}", "-lviaduct")
        env = dict(peer.environment(), XDG_RUNTIME_DIR=str(self.dir))
        with Daemon(run_dir=self.dir / "viaduct"):
            p = subprocess.run([str(program)], capture_output=True, text=True, env=env, timeout=peer.DEADLINE)
            self.assertEqual((p.returncode, p.stdout), (0, "42\n"), p.stderr)
        p = subprocess.run([str(program)], capture_output=True, text=True, env=env, timeout=peer.DEADLINE)
        self.assertEqual(p.returncode, 1)
        self.assertIn("VIA_UNREACH", p.stderr)

    def test_module(self):
        modules = self.dir / "modules"
        shutil.copytree(peer.MODULES, modules)
        self.compile("-shared", "-fPIC", "-fvisibility=hidden", ROOT / "docs/examples/double.c", "-o", modules / "service-double.so")
        env = peer.environment(VIADUCT_MODULE_PATH=str(modules))
        with Daemon(env=env) as d:
            self.assertEqual(d.call("double", "21", env=env)[1].strip(), "42", d.log())
        status, out, err = peer.run("viaduct", "check", modules / "service-double.so", env=env)
        self.assertEqual(status, 0, out + err)


if __name__ == "__main__":
    unittest.main()
