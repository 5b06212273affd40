# SPDX-License-Identifier: Apache-2.0
"""What bash offers for a line that is not finished yet, asked of the completion function and of a real terminal."""

import os
import pathlib
import pty
import re
import selectors
import subprocess
import tempfile
import time
import unittest

import peer
from peer import host
from test_man import keys_of_source, options_of_help

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging/completion/viaduct.bash"

# bash calls the function with the command, and hands the line over in these variables
ASK = """
compopt() { printf '<%s>\\n' "$2"; }
source "$1" && COMP_LINE=$2 && COMP_POINT=${#2} && COMP_WORDBREAKS=$3 || exit
_viaduct "${2%% *}" && printf '%s\\n' "${COMPREPLY[@]}"
"""
BREAKS = " \t\n\"'><=;|&(:"


@host.posix_only("unix")
class Completion(unittest.TestCase):
    maxDiff = None

    def offered(self, line, breaks=BREAKS, env=None):
        env = env or peer.environment(PATH=f"{peer.BIN}:{os.environ['PATH']}")
        p = subprocess.run(["bash", "-c", ASK, "ask", str(SCRIPT), line, breaks], capture_output=True, text=True,
                           env=env, timeout=peer.DEADLINE)
        self.assertEqual(p.stderr, "", line)
        return {word for word in p.stdout.split("\n") if word}

    def test_commands(self):
        commands = set(re.findall(r"^  (\w+) ", peer.run("viaduct", "--help")[1], re.M))
        self.assertIn("call", commands)
        self.assertEqual(self.offered("viaduct "), commands | {"--help", "--version"})
        self.assertEqual(self.offered("viaduct ser"), {"serve"})
        self.assertEqual(self.offered("viaduct nonsense "), set())

    def test_options(self):
        for command in "call", "serve", "bench", "modules", "check", "decode", "encode", "version":
            expected = {"-" + o for o in options_of_help("viaduct", command)}
            self.assertEqual(self.offered(f"viaduct {command} -"), expected, command)
        self.assertEqual(self.offered("viaductd -"), {"-" + o for o in options_of_help("viaductd")})
        self.assertEqual(self.offered("viaduct call --token 1 --js"), {"--json"})
        self.assertEqual(self.offered("viaduct call -- --js"), set())

    def test_names_of_installed_modules(self):
        services = {"increment", "string-reverse", "cgroups-snapshot"}
        self.assertEqual(self.offered("viaduct call --json "), services)
        self.assertEqual(self.offered("viaduct call in"), {"increment"})
        self.assertEqual(self.offered("viaduct call increment "), set())
        self.assertEqual(self.offered("viaduct serve increment st"), {"string-reverse"})
        self.assertEqual(self.offered("viaduct call --transport "), {"uds", "unix", "loop"})
        self.assertEqual(self.offered("viaduct call --transport=u"), {"uds", "unix"})
        self.assertEqual(self.offered("viaduct call --transport=u", breaks=" "), {"--transport=uds", "--transport=unix"})
        self.assertEqual(self.offered("viaduct bench ri"), {"ring"})
        self.assertEqual(self.offered("viaduct call --profiles uds,r"), {"uds,ring"})
        self.assertEqual(self.offered("viaduct decode incr", breaks=" "), {"increment:request", "increment:response"})
        self.assertEqual(self.offered("viaduct encode increment:req"), {"request"})
        with tempfile.TemporaryDirectory() as empty:
            for option in f"--module-path {empty}", f"--module-path={empty}":
                self.assertEqual(self.offered(f"viaduct call {option} "), set())

    def test_other_values(self):
        scenarios = re.findall(r"^  ([a-z-]+)  ", peer.run("viaduct", "bench", "--help")[1].partition("Scenarios:")[2].partition("\n\n")[0], re.M)
        self.assertIn("load", scenarios)
        self.assertEqual(self.offered("viaduct bench --scenario "), set(scenarios))
        groups = "identity trust symbols abi lifecycle unload transport codec service"
        self.assertEqual(self.offered("viaduct check --only "), set(groups.split()))
        self.assertEqual(self.offered("viaduct check "), {"<default>"})
        self.assertEqual(self.offered("viaduct bench --policy "), set(keys_of_source("daemon_keys")["policy"][3].split()))
        self.assertEqual(self.offered("viaduct modules --module-policy "), {"any", "locked"})
        self.assertEqual(self.offered("viaduct call --run-dir "), {"<dirnames>"})
        self.assertEqual(self.offered("viaductd -c "), {"<default>"})
        self.assertEqual(self.offered("viaductd --log="), {"<default>"})
        self.assertEqual(self.offered("viaduct decode header "), {"<default>"})
        self.assertEqual(self.offered("viaduct call --token "), set())

    def test_without_the_program(self):
        env = peer.environment(PATH=os.environ["PATH"])
        self.assertEqual(self.offered("/nonexistent/viaduct ca", env=env), set())
        self.assertEqual(self.offered("/nonexistent/viaductd -", env=env), set())

    def test_a_terminal(self):
        """Bash with readline takes what is offered, and finds the function by the command's name."""
        env = peer.environment(PATH=f"{peer.BIN}:{os.environ['PATH']}", TERM="dumb", PS1="$ ", INPUTRC="/dev/null")
        main, end = pty.openpty()
        shell = subprocess.Popen(["bash", "--noprofile", "--norc", "-i"], stdin=end, stdout=end, stderr=end, env=env,
                                 start_new_session=True)
        os.close(end)
        try:
            os.write(main, f"source {SCRIPT}; echo lo\"\"aded\n".encode())
            self.read_until(main, b"loaded\r\n")
            os.write(main, b"echo viaduct; viaduct dec\tincrement:req\t")
            self.read_until(main, b"viaduct decode increment:request ")
            os.write(main, b"--no-such\n")
            self.read_until(main, b"unknown option --no-such")
        finally:
            shell.kill()
            shell.wait(peer.DEADLINE)
            os.close(main)

    def read_until(self, fd, expected):
        text, end = b"", time.monotonic() + peer.DEADLINE
        with selectors.DefaultSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            while expected not in text:
                self.assertTrue(selector.select(max(0, end - time.monotonic())), f"expected {expected}, found {text}")
                text += os.read(fd, 4096)


if __name__ == "__main__":
    unittest.main()
