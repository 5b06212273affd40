# SPDX-License-Identifier: Apache-2.0
"""`viaduct bench`: every scenario, what it prints, and that it leaves nothing behind however it ends."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

import peer
from peer import host

BASE = host.BASELINE
BUSY = 25 if host.WINDOWS else 5  # ticks of processor time that a program takes only when it measures: wine starts slowly
COLUMNS = ("scenario,transport,policy,rate,depth,items,bytes,pin,seconds,ops,ops_per_s,units,units_per_s,p50_ns,p95_ns,"
           "p99_ns,p999_ns,max_ns,client_cpu_s,server_cpu_s,verified,client_build,server_build,profile")
SCENARIOS = ("ping-pong", "pipeline", "batch", "pipeline-batch", "snapshot", "payload", "connect", "load")
ALL = [word for name in SCENARIOS for word in ("--scenario", name)]

# A server that follows the wire but not the service: answers {answer} to the 101st request.
FAKE = """#!{python}
import os, socket, struct, sys, threading
sys.path.insert(0, {here!r})
import peer
dir = sys.argv[sys.argv.index("--serve") + 1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(dir + "/increment.sock")
s.listen(4)
print("ready gcc-1.2.3 modules", flush=True)

def serve():
    c, _ = s.accept()
    c.recv(65536)
    c.send(peer.ack())
    for n in range(1 << 30):
        try:
            q = c.recv(65536)
        except ConnectionResetError: # with answers that nobody read
            break
        if not q:
            break
        id, = struct.unpack("=Q", q[24:32])
        value, = struct.unpack("=Q", q[32:40])
        value += 1
        good = peer.header(peer.RESPONSE, 1, 8, id=id) + struct.pack("=Q", value)
        try:
            c.send(good if n < 100 else {answer})
        except OSError: # the client has seen enough
            break

threading.Thread(target=serve, daemon=True).start()
for line in sys.stdin:
    print("cpu 0" if line == "cpu\\n" else "ok", flush=True)
"""


MARKS = {}  # by process id: a word in the environment of all that wine starts for it, for wine makes new sessions


def belongs(entry, pid):
    if host.WINDOWS:
        return MARKS[pid] in (entry / "environ").read_bytes()
    return os.getsid(int(entry.name)) == pid


def session_of(pid):
    """Processes of the session that `pid` leads: {pid: command line}."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and belongs(entry, pid):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ProcessLookupError):
            continue
    return found


def temp_dir():
    """What wine's programs take for the temporary directory."""
    out = subprocess.run(host.command("cmd", "/c", "echo", "%TEMP%"), capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    return pathlib.Path(os.environ["WINEPREFIX"], "dosdevices", out.strip().replace("\\", "/").replace("C:", "c:"))


def ticks(pid):
    """Processor time of a process, in ticks; 0 when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


TEMP = temp_dir() if host.WINDOWS else None


class Bench(unittest.TestCase):
    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.tmp = pathlib.Path(dir.name)

    def start(self, *args):
        mark = f"VIADUCT_TEST_MARK={self.tmp}"
        env = peer.environment(VIADUCT_MODULES=str(peer.MODULES), **dict([mark.split("=")]))
        if not host.WINDOWS:
            env["TMPDIR"] = str(self.tmp)
        p = subprocess.Popen(host.command(peer.BIN / "viaduct", "bench", *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=env,
                             start_new_session=True)
        MARKS[p.pid] = mark.encode()
        self.addCleanup(self.end, p)
        return p

    def end(self, p):
        for pid in session_of(p.pid):
            os.kill(pid, signal.SIGKILL)
        p.wait()
        p.stdout.close()
        p.stderr.close()

    def left_nothing(self, p):
        peer.wait_until(lambda: session_of(p.pid) == {}, "the end of all processes") if host.WINDOWS else None
        self.assertEqual(session_of(p.pid), {})
        self.assertEqual(list(self.tmp.iterdir()), [])
        if host.WINDOWS:
            self.assertEqual(list(TEMP.glob("viaduct-run*")), [])

    def finish(self, p, status):
        out, err = p.communicate(timeout=peer.DEADLINE * 4)
        self.assertEqual(p.returncode, status, err)
        self.left_nothing(p)
        return out, err

    def good(self, *args):
        out, err = self.finish(self.start(*args), 0)
        self.assertEqual(err, "")
        return out

    def rows(self, *args):
        lines = self.good("--csv", *args).splitlines()
        self.assertEqual(lines[0], COLUMNS)
        rows = list(csv.DictReader(lines))
        for row in rows:
            self.assertNotIn(None, row, "a line with more columns than the heading")
            self.assertNotIn(None, row.values(), "a line with fewer columns than the heading")
        return rows

    def check(self, row):
        ops, times = int(row["ops"]), [int(row[k]) for k in ("p50_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns")]
        self.assertGreater(ops, 0)
        self.assertGreater(times[0], 0)
        self.assertEqual(times, sorted(times))
        self.assertGreater(float(row["seconds"]), 0)
        self.assertAlmostEqual(float(row["ops_per_s"]) * float(row["seconds"]) / ops, 1, places=2)
        many = row["scenario"] in ("batch", "pipeline-batch")
        self.assertEqual(int(row["verified"]), int(row["units"]) if many else ops)
        profile = {"memcpy": "0x0", "uds>ring": "0x10000", "uds>posixshm": "0x2", "pipe>winshm": "0x2"}
        self.assertEqual(row["profile"], profile.get(row["transport"], "0x1"))
        self.assertRegex(row["client_build"], r"^(gcc|clang)-\d+\.\d+\.\d+ (modules|builtin)$")

    def test_every_scenario(self):
        for transport in (BASE, "loop"):
            rows = self.rows(transport, "--seconds", "0.1", "--warmup", "0", "--bytes", "100001", "--items", "7", *ALL)
            names = [r["scenario"] for r in rows]
            self.assertEqual([n for n in names if n != "memcpy"], list(SCENARIOS))
            self.assertEqual(names[names.index("payload") + 1], "memcpy")
            for row in rows:
                self.check(row)
                units = {"batch": 7, "pipeline-batch": 7, "snapshot": 7, "payload": 100001, "memcpy": 100001}
                self.assertEqual(int(row["units"]), int(row["ops"]) * units.get(row["scenario"], 1))

    def test_limits_of_sizes(self):
        for args in (["--bytes", "64", "--bytes", "16M"], ):
            for row in self.rows(BASE, "--seconds", "0.02", "--scenario", "payload", *args):
                self.check(row)
        for items in ("1", "1000", "2..1000"):
            for row in self.rows(BASE, "--seconds", "0.02", "--items", items, "--depth", "64", "--scenario", "batch",
                                 "--scenario", "pipeline-batch"):
                self.check(row)
                low, high = (items.split("..") * 2)[:2]
                self.assertTrue(int(low) <= int(row["units"]) / int(row["ops"]) <= int(high))

    def test_upgrades_by_their_own_names(self):
        """Those that are installed here; each stands on the best baseline."""
        names = [name for name in ("ring", "posixshm", "winshm") if (peer.MODULES / (name + host.MODULE)).exists()]
        for row in self.rows(*names, "--seconds", "0.05", "--scenario", "ping-pong", "--scenario", "pipeline-batch",
                             "--scenario", "payload") if names else ():
            self.check(row)
            self.assertIn(row["transport"], ["memcpy"] + [f"{BASE}>{name}" for name in names])

    def test_schedule(self):
        """So many operations as were due, or fewer on a slow machine, but never more."""
        for row in self.rows(BASE, "--seconds", "0.2", "--rate", "1000", "--scenario", "ping-pong", "--scenario", "pipeline"):
            self.check(row)
            self.assertEqual(row["rate"], "1000")
            self.assertLessEqual(int(row["ops"]), 200)
            self.assertGreaterEqual(float(row["seconds"]), 0.2)

    def test_json_is_the_same(self):
        rows = json.loads(self.good("--json", BASE, "--seconds", "0.05", "--scenario", "ping-pong", "--scenario", "batch"))
        self.assertEqual([r["scenario"] for r in rows], ["ping-pong", "batch"])
        for row in rows:
            self.assertIn(row["timed_every"], (1, 64))
            self.assertEqual(row["verified"], row["units"])
            self.assertEqual(row["profile"], 1)

    def test_for_people(self):
        out = self.good(BASE, "--seconds", "0.05")
        for words in (f"ping-pong over {BASE}", f"pipeline over {BASE}, depth 16", f"batch over {BASE}, 2..1000 items", "p99.9 ",
                      "answers verified", "\nmeasured "):
            self.assertIn(words, out)

    def test_policies(self):
        for policy in ("latency", "frugal"):
            for row in self.rows(BASE, "--seconds", "0.05", "--policy", policy, "--scenario", "ping-pong"):
                self.check(row)
                self.assertEqual(row["policy"], policy)

    def test_processors(self):
        if len(os.sched_getaffinity(0)) > 1:
            for transport in (BASE, "loop"):
                for row in self.rows(transport, "--seconds", "0.05", "--pin", "--scenario", "ping-pong"):
                    self.check(row)
        for row in self.rows(BASE, "--seconds", "0.05", "--one-cpu", "--scenario", "pipeline"):
            self.check(row)

    def test_another_program_serves(self):
        row, = self.rows(BASE, "--seconds", "0.05", "--scenario", "ping-pong", "--server-program", str(peer.BIN / "viaduct") + host.EXE,
                         "--server-module-path", str(peer.MODULES))
        self.check(row)
        self.assertEqual(row["server_build"], row["client_build"])
        out, err = self.finish(self.start(BASE, "--server-program", "/nowhere/viaduct"), 1)
        self.assertRegex(err, r"viaduct: (No such file|error \d)")
        nothing = r"C:\windows\system32\hostname.exe" if host.WINDOWS else "/bin/true"
        out, err = self.finish(self.start(BASE, "--server-program", nothing), 1)
        says = "answered something else" if host.WINDOWS else "ended with status 0"
        self.assertIn("the server process " + says, err)

    def fake(self, answer, *args):
        with tempfile.TemporaryDirectory() as dir:
            script = pathlib.Path(dir, "viaduct")
            script.write_text(FAKE.format(python=sys.executable, here=str(pathlib.Path(__file__).parent), answer=answer))
            script.chmod(0o700)
            out, err = self.finish(self.start("--seconds", "60", "--csv", "--server-program", str(script), *args), 1)
        self.assertEqual(out, COLUMNS + "\n")
        self.assertEqual(err.count("\n"), 1, err)
        return err

    @host.posix_only("sockets")
    def test_a_wrong_answer_is_no_result(self):
        wrong = "good[:32] + struct.pack('=Q', value + 1)"
        for scenario in ("ping-pong", "pipeline"):
            self.assertRegex(self.fake(wrong, BASE, "--scenario", scenario),
                             rf"{scenario} over {BASE}: the counter chain is broken: expected \d+, found \d+")
            short = "peer.header(peer.RESPONSE, 1, 7, id=id) + bytes(7)"
            self.assertIn("the counter chain is broken", self.fake(short, BASE, "--scenario", scenario))
            failed = "peer.header(peer.RESPONSE, 1, 0, id=id, status=6)"
            self.assertIn("INTERNAL_ERROR", self.fake(failed, BASE, "--scenario", scenario))

    @host.posix_only("sockets")
    def test_another_profile_is_no_result(self):
        self.assertIn("profile: expected one of 0x10000, the handshake chose 0x1", self.fake("good", "uds>ring"))

    @host.posix_only("linux")
    def test_profiles_of_both_sides(self):
        for args, profile in ((["uds>posixshm", "--profiles", "0x2"], "0x2"), (["uds>posixshm", "--profiles", "0x3"], "0x2"),
                              (["uds>posixshm", "--profiles", "0x6"], "0x4"), (["uds>posixshm", "--profiles", "posixshm"], "0x2"), ([BASE, "--profiles", BASE], "0x1")):
            row, = self.rows(*args, "--seconds", "0.05", "--scenario", "ping-pong")
            self.assertEqual(row["profile"], profile)
        out, err = self.finish(self.start(BASE, "--profiles", "0x10000,uds"), 1)
        self.assertIn("profile: expected one of 0x1, the handshake chose 0x10000", err)
        for args in ([BASE, "--profiles", "ring"], ["uds>ring", "--profiles", "0x2"], [BASE, "--profiles", "nosuch"]):
            out, err = self.finish(self.start(*args), 2)
            self.assertIn("--profiles: ", err)

    def test_wrong_usage(self):
        for args, says in ((["--scenario", "ping"], "ping-pong"), (["--rate", "0"], "--rate"), (["--depth", "65"], "1..64"),
                           (["--items", "5..4"], "--items"), (["--items", "1001"], "1..1000"), (["--bytes", "63"], "64..16777216"),
                           (["--bytes", "17M"], "64..16777216"), (["--seconds", "x"], "--seconds"), (["--policy", "x"], "latency"),
                           (["--pin", "--one-cpu"], "--pin and --one-cpu"), (["--csv", "--json"], "--csv and --json"),
                           (["--scenario", "load", "--rate", "5"], "load has no rate"),
                           (["--server-module-path", "/x"], "--server-program"), ([BASE + ">"], "found ''")):
            out, err = self.finish(self.start(*args), 2)
            self.assertIn(says, err, args)
            self.assertEqual((out, err.count("\n")), ("", 1), (args, err))
        out, err = self.finish(self.start("nosuch"), 6)
        self.assertIn("nosuch", err)
        out, err = self.finish(self.start("--module-path", str(self.tmp)), 6)
        self.assertIn("no baseline was found", err)

    def running(self, *args):
        """A bench that measures, and its server's process id: both have used some processor time."""
        p = self.start("--seconds", "60", "--warmup", "0", "--policy", "latency", *args)
        server = []

        def busy():
            server[:] = [pid for pid, words in session_of(p.pid).items() if b"--serve" in words and ticks(pid) >= BUSY]
            return (server or "loop" in args) and ticks(p.pid) >= BUSY

        peer.wait_until(busy, "the measurement to begin")
        return p, server

    def test_the_server_is_killed(self):
        for scenario in ("ping-pong", "pipeline-batch"):
            p, server = self.running(BASE, "--scenario", scenario)
            os.kill(server[0], signal.SIGKILL)
            out, err = self.finish(p, 1)
            self.assertIn(f"{scenario} over {BASE}: ", err)
            # wine calls it status 0 when a signal has ended a program
            self.assertRegex(err, "the connection to the peer was lost|the peer closed the connection" if host.WINDOWS
                             else "the server process was ended by signal 9")
            self.assertEqual((out, err.count("\n")), ("", 1))

    def test_a_signal_ends_it(self):
        for transport in (BASE, "loop"):
            for number in {signal.SIGINT, host.STOP}:
                p, _ = self.running(transport)
                p.send_signal(number)
                out, err = self.finish(p, 1)
                self.assertIn("interrupted", err)
                self.assertEqual((out, err.count("\n")), ("", 1))

    @host.posix_only("signals")
    def test_the_console_stops_all_of_it(self):
        p, _ = self.running(BASE)
        os.killpg(p.pid, signal.SIGINT)
        out, err = self.finish(p, 1)
        self.assertEqual(err, "viaduct: bench: interrupted\n")

    def test_the_server_does_not_outlive_its_client(self):
        p, _ = self.running(BASE)
        p.kill()
        p.wait()
        peer.wait_until(lambda: session_of(p.pid) == {}, "the server to end")
        self.left_nothing(p)


if __name__ == "__main__":
    unittest.main()
