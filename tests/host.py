#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the tests of the programs start them: as they are, or a Windows build through wine.

VIADUCT_EMULATOR names what starts a Windows program; without it the build is this system's own. A test that
cannot run on Windows says one of REASONS; `host.py list` prints them with their tests, which is
tests/not_on_windows.txt, and `host.py check` compares the two.
"""
import ast
import atexit
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

EMULATOR = os.environ.get("VIADUCT_EMULATOR", "").split()
WINDOWS = bool(EMULATOR)
EXE, MODULE, BASELINE = (".exe", ".dll", "pipe") if WINDOWS else ("", ".so", "uds")
UPGRADES = ("winshm",) if WINDOWS else ("posixshm", "ring")
WRITABLE = "may write" if WINDOWS else "writable"  # in the sentence about a file that others can change
STOP = signal.SIGINT if WINDOWS else signal.SIGTERM  # wine makes Ctrl-C of SIGINT

REASONS = {
    "sockets": "talks to the programs over a raw Unix socket; raw peers of the pipe are in tests/session and tests/server",
    "signals": "a signal that Windows does not have; the service control manager sends requests of the same meaning",
    "systemd": "$NOTIFY_SOCKET and the journal are systemd's; the service control manager is told instead",
    "modes": "modes, owners or symbolic links of POSIX files",
    "linux": "needs something that only Linux has: control groups, /dev/full, /proc, seccomp, ring or posixshm",
    "unix": "manual pages, shell completion and service units belong to installations on POSIX systems",
    "shell": "runs a shell script or a compiler of the host on the programs",
}


def posix_only(reason):
    """Decorator of a test or a class that does not run against a Windows build."""
    return unittest.skipIf(WINDOWS, REASONS[reason])


def path(p):
    """A path as the programs see it and show it."""
    p = str(p)
    return "Z:" + p.replace("/", "\\") if WINDOWS and p.startswith("/") else p


def command(program, *args):
    """What starts a program of the build."""
    return [*EMULATOR, str(program) + EXE, *map(path, args)]


def _keep_wine_up():
    """Wine's services end with the last program, and starting them takes longer than most tests: one program
    stays. Not with a pipe for output: they would inherit it."""
    program = pathlib.Path(os.environ.get("VIADUCT_BIN") or os.path.join(os.environ["VIADUCT_BUILD"], "bin"))
    keeper = subprocess.Popen(command(program / "viaduct", "decode", "header"), stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # the services are there when another program has come to its end
    subprocess.run([*EMULATOR, "cmd.exe", "/c", "exit"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=120, check=True)

    def end():
        keeper.stdin.close()
        keeper.wait(60)

    atexit.register(end)


if WINDOWS:
    os.environ.pop("DISPLAY", None)  # wine would open windows there
    # wine shows no sticky bit: below /tmp every module is refused, for everybody may write there
    tempfile.tempdir = str(pathlib.Path(os.environ.get("VIADUCT_BIN") or os.path.join(os.environ["VIADUCT_BUILD"], "bin")).parent / "tests")
    _keep_wine_up()


# -- what does not run on Windows ---------------------------------------------------------------------------


def _reason(decorators):
    """The reason of @posix_only("...") or @host.posix_only("..."), or None."""
    for d in decorators:
        name = getattr(getattr(d, "func", None), "attr", None) or getattr(getattr(d, "func", None), "id", None)
        if name == "posix_only":
            return d.args[0].value
    return None


def _skipped(file):
    """(reason, test) of one file; a class stands for all of its tests."""
    for c in ast.parse(file.read_text()).body:
        if not isinstance(c, ast.ClassDef):
            continue
        whole = _reason(c.decorator_list)
        if whole:
            yield whole, f"{file.name} {c.name}"
            continue
        for f in c.body:
            if isinstance(f, ast.FunctionDef) and _reason(f.decorator_list):
                yield _reason(f.decorator_list), f"{file.name} {c.name}.{f.name}"


def _listing():
    here = pathlib.Path(__file__).parent
    found = [s for f in sorted([*here.glob("*/*_test.py"), *here.glob("e2e/test_*.py")]) for s in _skipped(f)]
    lines = ["Tests of the programs that do not run against a Windows build, and why. Written by tests/host.py list.",
             "command_test.py Vectors takes the first vector of each kind there; tests/codecs reads all of them.", ""]
    for reason, text in REASONS.items():
        tests = [name for r, name in found if r == reason]
        if not tests:
            sys.exit(f"host.py: no test has the reason {reason}")
        lines += [f"{reason}: {text}", *("    " + name for name in tests), ""]
    return "\n".join(lines[:-1]) + "\n"


def main(argv):
    if argv[1:] == ["list"]:
        print(_listing(), end="")
    elif argv[1:] == ["check"]:
        file = pathlib.Path(__file__).with_name("not_on_windows.txt")
        if file.read_text() != _listing():
            sys.exit(f"{file.name} is out of date: tests/host.py list writes it")
    else:
        sys.exit("usage: host.py list|check")


if __name__ == "__main__":
    main(sys.argv)
