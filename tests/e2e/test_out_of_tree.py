# SPDX-License-Identifier: Apache-2.0
"""The examples of modules, built elsewhere with nothing but an installation, and loaded by the programs of that installation."""

import contextlib
import json
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
CC = os.environ.get("VIADUCT_CC", "cc")
CMAKE = installed.setting("CMAKE_COMMAND")
COUNT, UPTIME = "count" + host.MODULE, "service-uptime" + host.MODULE


def run_clean(*command, cwd, **more):
    """Runs a command without anything of the build in its environment."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("VIADUCT_", "DESTDIR", "CFLAGS", "LDFLAGS"))}
    p = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, env=dict(env, **more), timeout=4 * peer.DEADLINE)
    return p.returncode, p.stdout + p.stderr


class Elsewhere(unittest.TestCase):
    """Copies of the examples and a fresh installation, of each test its own."""

    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.dir = pathlib.Path(dir.name).resolve()
        self.prefix = installed.install(self.dir / "root")
        self.package = next(self.prefix.rglob("viaduct-config.cmake")).parent
        self.modules = next(self.prefix.rglob("codec-increment" + host.MODULE)).parent

    def copy(self, example):
        return shutil.copytree(ROOT / "docs/examples" / example, self.dir / example)

    def must(self, *command, cwd, **more):
        status, out = run_clean(*command, cwd=cwd, **more)
        self.assertEqual(status, 0, out)
        return out

    def configure(self, source, *options):
        """(status, output) of CMake."""
        # A cross compiler looks for packages in its own root only: such a build is told the package's directory.
        where = [f"-Dviaduct_DIR={self.package}", f"-DCMAKE_TOOLCHAIN_FILE={ROOT}/cmake/mingw-w64.cmake"] if host.WINDOWS else [
            f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_C_COMPILER={CC}"]
        return run_clean(CMAKE, "-B", "build", "-G", "Ninja", *where, *options, cwd=source,
                         CFLAGS="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror")

    def build(self, source, *options):
        """The configured and built example: its build directory."""
        status, out = self.configure(source, *options)
        self.assertEqual(status, 0, out)
        self.must(CMAKE, "--build", "build", cwd=source)
        return source / "build"

    def refused(self, source, *options):
        """What the build says that must fail."""
        status, out = self.configure(source, *options)
        self.assertEqual(status, 0, out)
        status, out = run_clean(CMAKE, "--build", "build", cwd=source)
        self.assertNotEqual(status, 0, out)
        return " ".join(out.split())

    def env(self, *dirs):
        env = {k: v for k, v in peer.environment().items() if k != "VIADUCT_MODULE_PATH"}
        if dirs:
            env["VIADUCT_MODULE_PATH"] = (";" if host.WINDOWS else ":").join(map(host.path, dirs))
        return env

    @contextlib.contextmanager
    def programs(self):
        """The installed ones instead of those of the build."""
        before, peer.BIN = peer.BIN, self.prefix / installed.BIN
        try:
            yield
        finally:
            peer.BIN = before

    def serves(self, count, uptime, env):
        """The installed daemon has both modules from these files, and the installed client calls them."""
        stack = f"count+{host.BASELINE}"
        with self.programs(), peer.Daemon(f"[service increment]\ntransport = {stack}\n", env=env) as d:
            for n in 1, 2:
                status, out, err = d.call("--json", "uptime", env=env)
                self.assertEqual(status, 0, err + d.log())
                self.assertRegex(out, rf'^{{"head": {{"uptime_ns": [1-9][0-9]*, "calls": {n}}}}}$')
            status, out, err = d.call("-v", "--transport", stack, "increment", "41", env=env)
            self.assertEqual((status, out), (0, "42\n"), err + d.log())
            counted = r"com\.example\.count: sent [1-9]\d* records \([1-9]\d* bytes\), received [1-9]\d* \([1-9]\d* bytes\)"
            self.assertRegex(err, counted)
            d.stop()
            self.assertRegex(d.log(), counted)
            for module, file in ("com.example.count", count), ("com.example.uptime", uptime):
                loaded = re.search(rf"(?m)^.*{re.escape(module)}: version 1\.0\.0 loaded from (.*)$", d.log())
                # wine has several drives for one place
                self.assertTrue(loaded[1].replace("\\", "/").endswith(str(file.relative_to(self.dir.parent))), loaded[1])


class Examples(Elsewhere):
    def test_in_the_module_directory(self):
        for example, file in ("module-transport", COUNT), ("module-service", UPTIME):
            build = self.build(self.copy(example))
            self.must(CMAKE, "--install", build, cwd=build)
            self.assertTrue((self.modules / file).is_file())
        self.serves(self.modules / COUNT, self.modules / UPTIME, self.env())

    def test_in_a_directory_of_their_own(self):
        own = self.dir / "own"
        for example in "module-transport", "module-service":
            build = self.build(self.copy(example), f"-DVIADUCT_MODULE_INSTALL_DIR={own}")
            self.must(CMAKE, "--install", build, cwd=build)
        self.assertEqual(sorted(p.name for p in own.iterdir()), [COUNT, UPTIME])
        self.serves(own / COUNT, own / UPTIME, self.env(own, self.modules))

    def test_codec_of_the_service(self):
        """Programs that have never heard of it read and write what it carries."""
        env = self.env(self.build(self.copy("module-service")), self.modules)
        with self.programs():
            def both(kind, data, value):
                status, out, err = peer.run("viaduct", "decode", "--hex", kind, env=env, input=data)
                self.assertEqual((status, json.loads(out or "null")), (0, value), err)
                encoded = peer.run("viaduct", "encode", kind, env=env, input=out)
                self.assertEqual(encoded, (0, bytes.fromhex(data).decode(), ""))

            both("uptime:request", "", {"head": {}})
            both("uptime:response", "7f" * 8 + "02" + "00" * 7, {"head": {"uptime_ns": 0x7f7f7f7f7f7f7f7f, "calls": 2}})
            for command, input, wrong in (("decode", 15 * "00", "uptime_ns.*16.*15"), ("encode", '{"head": {"uptime_ns": 1}}', "calls"),
                                          ("encode", '{"head": {"uptime_ns": "1", "calls": 2}}', "uptime_ns")):
                with self.subTest(input):
                    options = ["--hex"] if command == "decode" else []
                    status, out, err = peer.run("viaduct", command, *options, "uptime:response", env=env, input=input)
                    self.assertEqual((status, out), (1, ""))
                    self.assertRegex(err, wrong)

    def test_configuration_is_refused(self):
        env = self.env(self.build(self.copy("module-service")), self.modules)
        with self.programs(), peer.Daemon("[module com.example.uptime]\ncolour = red\n", env=env) as d:
            status, out, err = d.call("uptime", env=env)
            self.assertEqual((status, out), (1, ""), err + d.log())
            self.assertIn("uptime: expected no configuration, found some", d.log())
            d.works()

    def test_packaged(self):
        """DESTDIR stands in front of the directory, and a relative one is below the prefix, for archives."""
        source = self.copy("module-transport")
        build = self.build(source)
        self.must(CMAKE, "--install", build, cwd=source, DESTDIR=str(self.dir / "stage"))
        self.assertTrue((self.dir / "stage" / self.modules.relative_to("/") / COUNT).is_file())
        self.build(source, "-DVIADUCT_MODULE_INSTALL_DIR=lib/viaduct/1")
        self.must(CMAKE, "--install", build, "--prefix", self.dir / "archive", cwd=source)
        self.assertTrue((self.dir / "archive/lib/viaduct/1" / COUNT).is_file())

    @host.posix_only("shell")
    def test_make(self):
        source, stage = self.copy("module-service"), self.dir / "stage"
        self.must("make", f"CC={CC}", "CFLAGS=-Wall -Wextra -Werror", "install", cwd=source, DESTDIR=str(stage),
                  **installed.pkg_config(self.prefix))
        self.assertEqual([p for p in stage.rglob("*") if not p.is_dir()], [stage / self.modules.relative_to("/") / UPTIME])
        self.assertEqual(list(stage.rglob("pkgconfig")), [])  # its path goes through there
        with self.programs():
            status, out, err = peer.run("viaduct", "modules", "--why", env=self.env(stage / self.modules.relative_to("/")))
        self.assertRegex(out, r"found +com\.example\.uptime +1\.0\.0 +service uptime, codec uptime")


class Mistakes(Elsewhere):
    """What a module must not do does not get past the build."""

    def change(self, old, new, *, file="count.c", header="stdlib.h"):
        """The transport with one place changed and a header more."""
        source = self.copy("module-transport")
        for path, before, after in (source / file, old, new), (source / "count.c", "#include <stdio.h>\n", f"#include <stdio.h>\n#include <{header}>\n"):
            text = path.read_text()
            self.assertIn(before, text)
            path.write_text(text.replace(before, after, 1))
        return source

    def test_takes_memory_past_the_host(self):
        source = self.change("s = h->alloc(h->ctx, sizeof *s, _Alignof(struct count_self));", "s = malloc(sizeof *s);")
        self.assertIn("uses what a module must not: malloc", self.refused(source))
        self.build(source, "-DVIADUCT_MODULE_CHECK=OFF")

    def test_links_the_library(self):
        source = self.change("(void)self;", "(void)self;\n\t(void)via_now();", header="viaduct/viaduct.h")
        lists = source / "CMakeLists.txt"
        lists.write_text(lists.read_text().replace("count.c)", "count.c LIBRARIES viaduct::viaduct)"))
        self.assertRegex(self.refused(source), r"needs (libviaduct\.so\.1|viaduct\.dll), expected libc only")

    def test_leaves_a_symbol_undefined(self):
        source = self.change("\treturn 1;", "\textern int elsewhere(void);\n\n\treturn elsewhere();")
        self.assertIn("undefined reference to `elsewhere'", self.refused(source))

    def test_libraries_are_named(self):
        header, call, library, file = (("winsock2.h", "WSAGetLastError()", "ws2_32", "ws2_32.dll") if host.WINDOWS else
                                       ("math.h", "(int)lgamma((double)(uintptr_t)self)", "m", "libm.so.6"))
        source = self.change("\treturn 1;", f"\treturn {call};", header=header)
        lists = source / "CMakeLists.txt"
        text = lists.read_text()
        lists.write_text(text + f"target_link_libraries(mod_count PRIVATE {library})\n")
        self.assertIn(f"needs {file}, expected libc only", self.refused(source))
        lists.write_text(text.replace("count.c)", f"count.c LIBRARIES {library})"))
        self.build(source)

    def test_wrong_words(self):
        for old, new, said in (("(transport ", "(transports ", "the kind is transport, codec or service"),
                               ("SOURCES", "SOURCE", "SOURCES missing, or unknown words: 'SOURCE;count.c'")):
            with self.subTest(new):
                source = self.change(old, new, file="CMakeLists.txt")
                status, out = self.configure(source)
                self.assertNotEqual(status, 0, out)
                self.assertIn(said, " ".join(out.split()))
                shutil.rmtree(source)


if __name__ == "__main__":
    unittest.main()
