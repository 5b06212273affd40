# SPDX-License-Identifier: Apache-2.0
"""Shared memory between the programs: what is chosen, what is fallen back to and why, and peers that know nothing but
the netipc region of section 10."""

import ctypes
import mmap
import os
import pathlib
import platform
import resource
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import peer
from peer import host
from peer import Daemon, Peer

RING, FUTEX, HYBRID, BASELINE = 0x10000, 0x4, 0x2, 0x1
LIBC = ctypes.CDLL(None, use_errno=True)
ENOSYS, EPERM = 38, 1
CALLS = {
    "x86_64": {"memfd_create": 319, "fallocate": 285, "mmap": 9, "futex": 202},
    "aarch64": {"memfd_create": 279, "fallocate": 47, "mmap": 222, "futex": 98},
}.get(platform.machine())


# -- what the programs say ------------------------------------------------------------------------------


def selected(explanation):
    line = next(line for line in explanation.splitlines() if line.startswith("profile selected:"))
    return int(line.split()[-1], 16)


def row(explanation, profile):
    """The line of a profile: transport, verdict, reason."""
    return next((line for line in explanation.splitlines() if line.split()[:1] == [hex(profile)]), "")


class Fallback(unittest.TestCase):
    def call(self, daemon, *args, expect, **kw):
        """A call with --explain comes up on the expected profile; returns what was explained."""
        status, out, err = daemon.call("--timeout", "15s", "--explain", *args, "increment", "41", **kw)
        self.assertEqual((status, out.strip()), (0, "42"), err + daemon.log())
        self.assertEqual(hex(selected(err)), hex(expect), err + daemon.log())
        return err


# -- system calls that are refused ----------------------------------------------------------------------


def forbid(name, error, shared_only=False):
    """A function for the child: the system call fails; of mmap only that of shared files."""

    def statement(code, k, jt=0, jf=0):
        return struct.pack("=HBBI", code, jt, jf, k)

    number = CALLS[name]
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    fail, allow = 0x50000 | error, 0x7FFF0000
    if shared_only:  # flags are the fourth argument
        code = [statement(load, 0), statement(equal, number, 0, 3), statement(load, 16 + 3 * 8), statement(any_bit, 1, 0, 1)]
    else:
        code = [statement(load, 0), statement(equal, number, 0, 1)]
    code += [statement(answer, fail), statement(answer, allow)]
    program = ctypes.create_string_buffer(b"".join(code))
    filter = struct.pack("@HP", len(code), ctypes.addressof(program))

    def apply():
        keep = ctypes.create_string_buffer(filter)
        assert LIBC.prctl(38, 1, 0, 0, 0) == 0 and LIBC.prctl(22, 2, keep, 0, 0) == 0, ctypes.get_errno()
        assert len(program) > 0

    return apply


def limit(what, value):
    return lambda: resource.setrlimit(what, (value, value))


@host.posix_only("linux")
@unittest.skipUnless(CALLS, "system call numbers of this machine are not known")
class Refused(Fallback):
    def test_everything_works(self):
        with Daemon() as d:
            self.call(d, expect=RING)
            self.call(d, "--profiles", "posixshm,0x1", expect=HYBRID)
            self.call(d, "--profiles", "0x3", expect=HYBRID)
            self.call(d, "--profiles", "0x1", expect=BASELINE)

    def test_memfd_of_the_server(self):
        for error in (ENOSYS, EPERM):
            with self.subTest(error), Daemon(before=forbid("memfd_create", error)) as d:
                err = self.call(d, expect=HYBRID)
                self.assertIn("the peer does not have it", row(err, RING))
                self.assertIn("memfd_create", d.log())

    def test_room_of_the_server(self):
        for error in (ENOSYS, EPERM):
            with self.subTest(error), Daemon(before=forbid("fallocate", error)) as d:
                err = self.call(d, "--profiles", "posixshm,0x1", expect=BASELINE)
                self.assertIn("the peer does not have it", row(err, HYBRID))
                self.assertIn("fallocate", d.log())
                d.works()

    def test_mappings_of_the_server(self):
        with Daemon(before=forbid("mmap", EPERM, shared_only=True)) as d:
            err = self.call(d, expect=BASELINE)
            for profile in (RING, HYBRID):
                self.assertIn("the peer does not have it", row(err, profile))
            self.assertIn("mmap", d.log())

    def test_mappings_of_the_client(self):
        with Daemon() as d:
            err = self.call(d, expect=BASELINE, before=forbid("mmap", EPERM, shared_only=True))
            for profile in (RING, HYBRID):
                self.assertIn("failed", row(err, profile))
                self.assertIn("mmap", row(err, profile))

    def test_memfd_of_the_client(self):
        """The client makes none, but where there are none it does not try."""
        with Daemon() as d:
            err = self.call(d, expect=HYBRID, before=forbid("memfd_create", ENOSYS))
            self.assertIn("memfd_create", row(err, RING))

    def test_file_size_of_a_program(self):
        """Modules are copied before they are loaded; the limit is said, nobody dies of SIGXFSZ."""
        with Daemon() as d:
            status, out, err = d.call("increment", "41", before=limit(resource.RLIMIT_FSIZE, 4096))
            self.assertGreater(status, 0, err)
            self.assertIn("RLIMIT_FSIZE", err)


@host.posix_only("linux")
class Descriptors(Fallback):
    def test_none_left_in_the_server(self):
        def descriptors():
            return {int(n) for n in os.listdir(f"/proc/{d.p.pid}/fd")}

        with Daemon() as d:
            d.works()  # modules are loaded
            with Peer(d.path("increment")) as p:
                p.greet()
                during = len(descriptors())
            peer.wait_until(lambda: len(descriptors()) < during, "the end of the session")
            used = descriptors()
            free = min(set(range(len(used) + 1)) - used)  # the one that is left for the next socket
            old = resource.prlimit(d.p.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(d.p.pid, resource.RLIMIT_NOFILE, (free + 1, old[1]))
            self.call(d, expect=BASELINE)
            self.assertIn("Too many open files", d.log())
            resource.prlimit(d.p.pid, resource.RLIMIT_NOFILE, old)
            self.call(d, expect=RING)

    def test_few_in_the_client(self):
        """With each number of descriptors it works, or says why not; with one of them only the socket fits."""
        seen = set()
        with Daemon() as d:
            for n in range(3, 16):
                args = ("--timeout", "10s", "--explain", "increment", "41")
                status, out, err = d.call(*args, before=limit(resource.RLIMIT_NOFILE, n))
                self.assertGreaterEqual(status, 0, f"{n} descriptors: {err}")
                if status == 0:
                    self.assertEqual(out.strip(), "42")
                    seen.add(selected(err))
                else:
                    self.assertNotEqual(err, "", f"{n} descriptors")
            self.assertIn(RING, seen)
            self.assertTrue(seen & {HYBRID, BASELINE}, seen)
            d.works()


# -- namespaces and mounts ------------------------------------------------------------------------------


def can(*command):
    return shutil.which(command[0]) and subprocess.run(command, capture_output=True).returncode == 0


@host.posix_only("linux")
@unittest.skipUnless(can("unshare", "-m", "-p", "-f", "mount", "-t", "tmpfs", "none", "/mnt"), "namespaces are not allowed here")
class Namespaces(Fallback):
    def test_only_the_socket_is_visible(self):
        with Daemon() as d:
            sock, script = d.path("increment"), pathlib.Path(d.dir.name, "in-namespace")
            kept = pathlib.Path(d.dir.name, "kept")
            script.write_text(
                f'set -e\n: >"{kept}"\nmount --bind "{sock}" "{kept}"\nmount -t tmpfs none "{d.run_dir}"\n'
                f': >"{sock}"\nmount --bind "{kept}" "{sock}"\nexec "$@"\n'
            )
            under = ("unshare", "-m", "sh", str(script))
            self.call(d, expect=RING, under=under)
            err = self.call(d, "--profiles", "posixshm,0x1", expect=BASELINE, under=under)
            self.assertIn("failed", row(err, HYBRID))
            self.assertRegex(row(err, HYBRID), "not ready|No such file")

    def test_another_pid_namespace(self):
        with Daemon() as d:
            under = ("unshare", "-p", "-f", "--mount-proc")
            self.call(d, expect=RING, under=under)
            self.call(d, "--profiles", "posixshm,0x1", expect=HYBRID, under=under)

    def test_full_file_system(self):
        with tempfile.TemporaryDirectory() as dir:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", dir], check=True)
            try:
                with Daemon(run_dir=dir) as d:
                    fill = pathlib.Path(dir, "fill")
                    with open(fill, "wb", buffering=0) as f, self.assertRaisesRegex(OSError, "No space"):
                        while f.write(b"x" * 4096):
                            pass
                    err = self.call(d, "--profiles", "posixshm,0x1", expect=BASELINE)
                    self.assertIn("the peer does not have it", row(err, HYBRID))
                    self.assertIn("No space left", d.log())
                    self.call(d, expect=RING)
                    fill.unlink()
            finally:
                subprocess.run(["umount", dir], check=True)


# -- modules --------------------------------------------------------------------------------------------


@host.posix_only("linux")
class Modules(Fallback):
    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.modules = pathlib.Path(dir.name).resolve() / "modules"
        shutil.copytree(peer.MODULES, self.modules)
        self.env = peer.environment(VIADUCT_MODULE_PATH=str(self.modules))

    def test_missing_at_the_client(self):
        with Daemon() as d:
            (self.modules / "ring.so").unlink()
            err = self.call(d, expect=HYBRID, env=self.env)
            self.assertIn("the peer does not have it" if row(err, RING) == "" else "no module", row(err, RING) or "the peer does not have it")
            (self.modules / "posixshm.so").unlink()
            self.call(d, expect=BASELINE, env=self.env)

    def test_missing_at_the_server(self):
        (self.modules / "ring.so").unlink()
        with Daemon(env=self.env) as d:
            err = self.call(d, expect=HYBRID)
            self.assertIn("the peer does not have it", row(err, RING))
        (self.modules / "posixshm.so").unlink()
        with Daemon(env=self.env) as d:
            err = self.call(d, expect=BASELINE)
            self.assertIn("the peer does not have it", row(err, HYBRID))

    def test_writable_by_others(self):
        (self.modules / "ring.so").chmod(0o777)
        with Daemon() as d:
            err = self.call(d, expect=HYBRID, env=self.env)
            self.assertIn("0777", err)
            self.assertIn("ring.so", err)
        with Daemon(env=self.env) as d:
            err = self.call(d, expect=HYBRID)
            self.assertIn("the peer does not have it", row(err, RING))


# -- peers that know netipc only ------------------------------------------------------------------------


class Region:
    """Section 10. role: which fields this side sends with."""

    FIELDS = {"request": (32, 48, 56), "response": (40, 52, 60)}

    def __init__(self, path, sends, create=None):
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
        fd = os.open(path, flags, 0o600)
        try:
            if create:
                request, response = ((32 + n + 63) & ~63 for n in create)
                os.posix_fallocate(fd, 0, 64 + request + response)
            self.m = mmap.mmap(fd, 0)
        finally:
            os.close(fd)
        if create:
            header = struct.pack("=IHHiIIIII", 0x4E53484D, 3, 64, os.getpid(), 1, 64, request, 64 + request, response)
            self.m[0:32] = header
        magic, version, length, _, _, *areas = struct.unpack("=IHHiIIIII", self.m[0:32])
        assert (magic, version, length) == (0x4E53484D, 3, 64)
        at = {"request": areas[0:2], "response": areas[2:4]}
        takes = "response" if sends == "request" else "request"
        self.out, self.inn = (self.FIELDS[sends], at[sends]), (self.FIELDS[takes], at[takes])
        self.sent, self.taken = self.get("Q", self.out[0][0]), self.get("Q", self.inn[0][0])

    def get(self, kind, at):
        return struct.unpack_from("=" + kind, self.m, at)[0]

    def send(self, message):
        (seq, length, signal), (at, room) = self.out
        assert len(message) <= room
        self.m[at : at + len(message)] = message
        self.sent += 1
        word = ctypes.c_uint32.from_buffer(self.m, signal)
        ctypes.c_uint32.from_buffer(self.m, length).value = len(message)  # one store each, unlike pack_into()
        ctypes.c_uint64.from_buffer(self.m, seq).value = self.sent
        word.value += 1
        LIBC.syscall(ctypes.c_long(CALLS["futex"]), ctypes.byref(word), ctypes.c_long(1), ctypes.c_long(1), None, None, ctypes.c_long(0))

    def there(self):
        return self.get("Q", self.inn[0][0]) == self.taken + 1

    def take(self):
        peer.wait_until(self.there, "a message in the region")
        self.taken += 1
        length, at = self.get("I", self.inn[0][1]), self.inn[1][0]
        return self.m[at : at + length]


def region_path(run_dir, service, session):
    return pathlib.Path(run_dir) / f"{service}-{session:016x}.ipcshm"


class NetipcServer(threading.Thread):
    """Serves increment to one client, over the region if the client can."""

    def __init__(self, run_dir, supported):
        super().__init__(daemon=True)
        self.run_dir, self.supported, self.calls, self.error = run_dir, supported, 0, None
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.bind(str(pathlib.Path(run_dir) / "increment.sock"))
        self.s.listen(4)
        self.s.settimeout(peer.DEADLINE)

    def answer(self, request):
        value = struct.unpack("=Q", request[32:40])[0]
        id = struct.unpack("=Q", request[24:32])[0]
        self.calls += 1
        return peer.header(peer.RESPONSE, 1, 8, id=id) + struct.pack("=Q", value + 1)

    def serve(self, c):
        self.hello = c.recv(65536)
        offered = struct.unpack("=I", self.hello[36:40])[0]
        common = offered & self.supported
        self.selected = 1 << (common.bit_length() - 1)
        path = region_path(self.run_dir, "increment", 9)
        region = Region(path, "response", create=(1024, 65536)) if self.selected != 1 else None
        c.send(peer.ack(self.selected, server=self.supported, session=9))
        try:
            if region is None:
                while request := c.recv(65536):
                    c.send(self.answer(request))
                return
            c.setblocking(False)
            while True:
                try:
                    if c.recv(10) == b"":
                        return
                except BlockingIOError:
                    if region.there():
                        region.send(self.answer(region.take()))
                    else:
                        os.sched_yield()
        finally:
            if region is not None:
                path.unlink()

    def run(self):
        try:
            with self.s:
                c, _ = self.s.accept()
                with c:
                    c.settimeout(peer.DEADLINE)
                    self.serve(c)
        except Exception as e:  # told to the test, which fails
            self.error = e


@host.posix_only("linux")
@unittest.skipUnless(CALLS, "system call numbers of this machine are not known")
class Netipc(unittest.TestCase):
    def check_our_client(self, supported, expect, *args):
        with tempfile.TemporaryDirectory() as dir:
            server = NetipcServer(dir, supported)
            server.start()
            status, out, err = peer.run("viaduct", "call", "--run-dir", dir, "--explain", *args, "increment", "41")
            server.join(peer.DEADLINE)
            self.assertIsNone(server.error)
            self.assertEqual((status, out.strip()), (0, "42"), err)
            self.assertEqual((selected(err), server.selected, server.calls), (expect, expect, 1), err)

    def test_our_client(self):
        self.check_our_client(BASELINE | HYBRID, HYBRID)
        self.check_our_client(BASELINE | HYBRID | FUTEX, HYBRID)
        self.check_our_client(BASELINE | FUTEX, FUTEX, "--profiles", "0x5")
        self.check_our_client(BASELINE, BASELINE)

    def test_our_server(self):
        with Daemon() as d:
            for supported, expect in ((3, HYBRID), (5, FUTEX), (7, FUTEX)):
                with Peer(d.path("increment")) as p:
                    terms = p.greet(supported=supported)
                    self.assertEqual(terms["selected"], expect)
                    path = region_path(d.run_dir, "increment", terms["session"])
                    self.assertEqual(path.stat().st_mode & 0o777, 0o600)
                    region = Region(path, "request")
                    for i in range(200):
                        region.send(peer.increment(i, id=i))
                        answer = region.take()
                        self.assertEqual(answer[24:40], struct.pack("=QQ", i, i + 1))
                peer.wait_until(lambda: not path.exists(), "the region to be removed")

    def test_our_server_on_the_baseline(self):
        with Daemon() as d, Peer(d.path("increment")) as p:
            self.assertEqual(p.greet(supported=1)["selected"], BASELINE)
            self.assertEqual(p.ask(peer.increment(41))[32:], struct.pack("=Q", 42))


if __name__ == "__main__":
    unittest.main()
