#!/usr/bin/env python3
"""command_test.py CLASS... - the programs viaduct and viaductd from outside. Standard library only.

VIADUCT_BUILD names the build directory (bin, lib/viaduct/1), VIADUCT_SOURCE the source directory,
VIADUCT_FIXTURE the module that fixture_slow.c became, VIADUCT_CONTROL the program fixture_control.c (Windows).
Every program that is started here is ended here; nothing waits without a deadline, and nothing sleeps.
"""
import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import host
from host import posix_only

BUILD = os.environ["VIADUCT_BUILD"]
SOURCE = os.environ["VIADUCT_SOURCE"]
MODULES = os.path.join(BUILD, "lib", "viaduct", "1")
VIADUCT = os.path.join(BUILD, "bin", "viaduct")
VIADUCTD = os.path.join(BUILD, "bin", "viaductd")
VECTORS = os.path.join(SOURCE, "tests", "vectors")
CONTROL = os.environ.get("VIADUCT_CONTROL", "").removesuffix(".exe")
DEADLINE = float(os.environ.get("VIADUCT_TEST_DEADLINE", "60"))


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="viaduct-test.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.run_dir = os.path.join(self.dir, "run")
        self.modules = MODULES

    def env(self, **more):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("VIADUCT", "NOTIFY", "JOURNAL", "XDG"))}
        env["VIADUCT_MODULE_PATH"] = host.path(self.modules)
        env["LC_ALL"] = "C.UTF-8" if host.WINDOWS else "C"  # wine takes arguments for what the locale says
        env.update(more)
        return env

    def run_program(self, *argv, stdin=b"", env=None):
        p = subprocess.run(host.command(*argv), input=stdin, capture_output=True, timeout=DEADLINE,
                           env=env or self.env())
        self.assert_healthy(p.stderr)
        return p.returncode, p.stdout, p.stderr.decode("utf-8", "backslashreplace")

    def assert_healthy(self, err):
        for word in (b"Sanitizer", b"runtime error:"):
            self.assertNotIn(word, err, err.decode("utf-8", "backslashreplace"))

    def viaduct(self, *args, **kw):
        return self.run_program(VIADUCT, *args, **kw)

    def good(self, *args, **kw):
        rc, out, err = self.viaduct(*args, **kw)
        self.assertEqual((rc, err), (0, ""), args)
        return out

    def bad(self, status, *args, says="", program=VIADUCT, **kw):
        """Fails with that status, nothing on standard output and exactly one line of error."""
        rc, out, err = self.run_program(program, *args, **kw)
        self.assertEqual(rc, status, (args, err))
        self.assertEqual(out, b"", args)
        self.assertEqual(err.count("\n"), 1, (args, err))
        self.assertTrue(err.startswith(os.path.basename(program) + ": "), err)
        self.assertIn(says, err, args)
        return err

    def call(self, *args, **kw):
        return self.viaduct("call", "--run-dir", self.run_dir, *args, **kw)

    def start(self, *argv, env=None, err=subprocess.PIPE):
        p = subprocess.Popen(host.command(*argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err,
                             env=env or self.env())
        self.addCleanup(self.end, p)
        return p

    def end(self, p):
        if p.poll() is None:
            p.kill()
        p.wait()
        for f in (p.stdout, p.stderr):
            if f is not None and not f.closed:
                f.close()

    def lines_until(self, stream, word):
        """Lines of a pipe up to the one with the word; fails at its end or at the deadline."""
        end = time.monotonic() + DEADLINE
        text = b""
        while not (text.endswith(b"\n") and word.encode() in text):
            ready, _, _ = select.select([stream], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, "deadline passed, so far: %r" % text)
            byte = os.read(stream.fileno(), 1)
            self.assertNotEqual(byte, b"", "ended, so far: %r" % text)
            text += byte
        return text.decode("utf-8", "backslashreplace")

    def serve(self, *args):
        p = self.start(VIADUCT, "serve", "--run-dir", self.run_dir, *args)
        self.lines_until(p.stdout, "serving %s in " % args[-1])
        return p

    def stop(self, p, number=host.STOP):
        p.send_signal(number)
        out, err = p.communicate(timeout=DEADLINE)
        self.assert_healthy(err or b"")
        return p.returncode, out, (err or b"").decode("utf-8", "backslashreplace")

    def daemon(self, text="", *args, env=None):
        """Starts the daemon with a configuration, waits until it is ready. Returns it and its log so far."""
        conf = os.path.join(self.dir, "d.conf")
        with open(conf, "w") as f:
            f.write(text)
        p = self.start(VIADUCTD, "-c", conf, "--run-dir", self.run_dir, *args, env=env)
        return p, self.lines_until(p.stderr, "ready: ")

    def assert_mode(self, path, mode):
        """Windows has no modes: who may use the run directory says its list, that of its parent."""
        if not host.WINDOWS:
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), mode)

    def empty(self):
        """A configuration that says nothing."""
        conf = os.path.join(self.dir, "empty.conf")
        open(conf, "w").close()
        return conf

    def wait_for(self, path, word, at=0):
        """Waits until a file has a line with the word behind a position."""
        end = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as f:
                f.seek(at)
                if any(word.encode() in line and line.endswith(b"\n") for line in f):
                    return
            self.assertLess(time.monotonic(), end, "no %r in %s" % (word, path))
            os.sched_yield()

    def own_modules(self):
        """A copy of the module directory that a test may spoil."""
        self.modules = os.path.join(self.dir, "modules")
        shutil.copytree(MODULES, self.modules)
        os.chmod(self.modules, 0o755)
        for name in os.listdir(self.modules):
            os.chmod(os.path.join(self.modules, name), 0o755)


# -- command line ----------------------------------------------------------------------------------------

class Usage(Case):
    COMMANDS = ("call", "serve", "bench", "modules", "decode", "encode", "version")

    def test_help_is_everywhere(self):
        for args in [("--help",), ("-h",), ("help",)] + [(c, "--help") for c in self.COMMANDS]:
            out = self.good(*args).decode()
            self.assertTrue(out.startswith("usage: viaduct"), args)
        for command in self.COMMANDS:
            self.assertIn("\n  " + command, self.good("--help").decode())
        rc, out, err = self.run_program(VIADUCTD, "--help")
        self.assertEqual((rc, err), (0, ""))
        self.assertIn(b"usage: viaductd", out)

    def test_unknown_words_name_the_nearest(self):
        self.bad(2, says="expected a command")
        self.bad(2, "cal", says="did you mean 'call'?")
        self.bad(2, "qqqqq", says="--help")
        self.bad(2, "--jsn", says="a command comes first")
        for command in self.COMMANDS:
            self.bad(2, command, "--hlep", says="did you mean --help?")
        self.bad(2, "call", "--tokn", "1", "increment", says="did you mean --token?")
        self.bad(2, "decode", "heder", says="did you mean 'header'?")
        self.bad(2, "--hlep", program=VIADUCTD, says="did you mean --help?")
        self.bad(2, "word", program=VIADUCTD, says="expected no argument, found 'word'")

    def test_values_are_checked(self):
        self.bad(2, "call", says="expected a SERVICE")
        self.bad(2, "call", "--token", says="needs a value: N")
        self.bad(2, "call", "--token", "12x", "increment", says="found '12x'")
        self.bad(2, "call", "--token", "18446744073709551616", "increment", says="64 bits")
        self.bad(2, "call", "--timeout", "5", "increment", says="a time like 500ms")
        self.bad(2, "call", "--json=yes", "increment", says="takes no value")
        self.bad(2, "call", "--profiles", "0x1,nosuch", "increment", "1", says="'nosuch' is neither")
        self.bad(2, "call", "--profiles", "0", "increment", "1", says="expected bits of")
        self.bad(2, "call", "--profiles", "1,,2", "increment", "1", says="--profiles: expected")
        self.bad(2, "serve", says="expected a SERVICE")
        self.bad(2, "serve", "--workers", "0", "increment", says="expected 1..64, found '0'")
        self.bad(2, "decode", says="expected a KIND")
        self.bad(2, "decode", "header", "a", "b", says="found one more: 'b'")
        self.bad(2, "decode", "batch:x", says="expected a number of items")
        self.bad(2, "decode", "batch:99999999999", says="expected a number of items")
        self.bad(2, "decode", "increment:reply", says="expected request or response")
        self.bad(2, "decode", ":request", says="unknown KIND")
        self.bad(2, "modules", "x", says="expected no argument")
        self.bad(2, "version", "x", says="expected no argument")

    def test_a_codec_that_is_missing(self):
        self.bad(6, "decode", "nosuch:request", says="nosuch")
        self.bad(6, "call", "nosuch", says="no codec for this service")

    def test_a_file_that_is_missing(self):
        none, directory = ("(error 2)", "(error 5)") if host.WINDOWS else ("No such file", "directory")
        self.bad(1, "decode", "header", self.dir + "/none", says=none)
        self.bad(1, "decode", "header", self.dir, says=directory)
        self.bad(2, "-c", self.dir + "/none", program=VIADUCTD, says=none)

    def test_version(self):
        self.assertRegex(self.good("version").decode(), r"^viaduct \d+\.\d+\.\d+ \(module ABI 1\.\d+, wire format 1\)\n$")
        v = json.loads(self.good("version", "--json"))
        self.assertEqual((v["abi_major"], v["wire"]), (1, 1))
        self.assertEqual(self.good("--version"), self.good("version"))

    def test_arguments_in_errors_are_harmless(self):
        err = self.bad(2, "\x1b[2J\n\u202e", says="unknown command")
        self.assertNotIn("\x1b", err)
        self.assertIn("\\x1b[2J\\x0a\\u{202e}", err)

    @posix_only("linux")
    def test_output_that_cannot_be_written_is_a_failure(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        for args in (["version"], ["modules"], ["--help"]):
            with open("/dev/full", "wb") as full:
                p = subprocess.run(host.command(VIADUCT, *args), stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE,
                                   env=self.env())
            self.assertEqual(p.returncode, 1, args)
            self.assertIn(b"standard output", p.stderr)


# -- decode and encode -----------------------------------------------------------------------------------

def vector(folder, name):
    with open(os.path.join(VECTORS, folder, name + ".hex")) as f:
        text = "".join(line.split("#")[0] for line in f)
    return bytes.fromhex(text)


def names(folder):
    return sorted(n[:-4] for n in os.listdir(os.path.join(VECTORS, folder)) if n.endswith(".hex"))


BOTH = ("request", "response")
KINDS = [  # first match wins; None: no KIND describes it
    (r"pkt-", None), (r"batch-dir-", None), (r"batchitem-index-eq-count", None), (r"batchitem-only", None),
    (r"(hdr-|header$)", ["header"]), (r"(chunk-|chunk_header)", ["chunk"]), (r"(hello_ack|ack-)", ["hello-ack"]),
    (r"hello", ["hello"]), (r"batch(dir|item)-", ["batch:2"]), (r"batch-(\d+)-", ["batch:%s"]),
    (r"increment-", ["increment:" + s for s in BOTH]), (r"reverse-", ["string-reverse:" + s for s in BOTH]),
    (r"(snapshot-req|snapreq-|cgroups_req)", ["cgroups-snapshot:request"]),
    (r"(snapshot-resp|snapresp-|snapitem-|snapdir-|cgroups_resp)", ["cgroups-snapshot:response"]),
    (r"(cglookup-req|cglreq-|cgroups_lookup_req)", ["cgroups-lookup:request"]),
    (r"(cglookup-|cglresp-|cglitem-|cgroups_lookup_resp)", ["cgroups-lookup:response"]),
    (r"(appslookup-req|appreq-|apps_lookup_req)", ["apps-lookup:request"]),
    (r"(appslookup-|appresp-|appitem-|apps_lookup_resp)", ["apps-lookup:response"]),
]


def kinds_of(name):
    for pattern, kinds in KINDS:
        m = re.match(pattern, name)
        if m:
            return [k % m.groups() if "%" in k else k for k in kinds or []]
    raise AssertionError("no KIND is known for vector " + name)


class Vectors(Case):
    def installed(self):
        listing = json.loads(self.good("modules", "--json"))
        return {p["name"] for f in listing["files"] for p in f["provides"] if p["kind"] == "codec"}

    def pairs(self, folder):
        """Every vector of a folder with its KINDs; through wine, where a program takes long to start, the first of each
        KIND: tests/codecs reads all of them there."""
        codecs, seen = self.installed(), set()
        self.assertLessEqual({"increment", "string-reverse", "cgroups-snapshot"}, codecs)
        for name in names(folder):
            for kind in kinds_of(name):
                if host.WINDOWS and kind in seen:
                    continue
                seen.add(kind)
                if not re.search(r":re(quest|sponse)$", kind) or kind.split(":")[0] in codecs:
                    yield name, kind

    def test_canonical_messages_come_back_as_the_same_bytes(self):
        n = 0
        for folder in ("valid", "interop"):
            for name, kind in self.pairs(folder):
                raw = vector(folder, name)
                text = self.good("decode", kind, stdin=raw)
                json.loads(text)
                self.assertEqual(self.good("encode", kind, stdin=text), raw, (folder, name, kind))
                n += 1
        self.assertGreaterEqual(n, 10 if host.WINDOWS else 60)

    def test_packets_start_with_a_header(self):
        for name in [n for n in names("valid") if n.startswith("pkt-")]:
            raw = vector("valid", name)
            text = self.good("decode", "header", stdin=raw)
            self.assertEqual(json.loads(text).get("ignored_bytes", 0), len(raw) - 32, name)
            self.assertEqual(self.good("encode", "header", stdin=text), raw[:32], name)

    def test_malformed_messages_are_one_line(self):
        n = 0
        for name, kind in self.pairs("invalid"):
            err = self.bad(1, "decode", kind, stdin=vector("invalid", name), says="not a valid " + kind)
            self.assertRegex(err, r"expected|fewer", name)
            n += 1
        self.assertGreaterEqual(n, 8 if host.WINDOWS else 50)

    def test_unusual_messages_are_printed_whole(self):
        for name, kind in self.pairs("lenient"):
            if name.startswith(("batchdir-", "snapdir-")):
                continue  # a directory without its items; an item that only a full check refuses
            text = self.good("decode", kind, stdin=vector("lenient", name))
            shown = json.loads(text)
            again = json.loads(self.good("decode", kind, stdin=self.good("encode", kind, stdin=text)))
            shown.pop("ignored_bytes", None)
            self.assertEqual(again, shown, (name, kind))
        self.bad(1, "decode", "cgroups-snapshot:response", stdin=vector("lenient", "snapdir-item-bad-but-header-ok"))

    def test_hexadecimal_input(self):
        path = os.path.join(VECTORS, "valid", "increment-pattern.hex")
        out = json.loads(self.good("decode", "--hex", "increment:request", path))
        self.assertEqual(out, {"head": {"value": 0x0102030405060708}})
        for text in (b"0011 2233 4455 6677", b"00 11 22 33\n44556677 # tail", b"\t0011223344556677\r\n"):
            self.good("decode", "--hex", "increment:request", stdin=text)
        self.bad(1, "decode", "--hex", "increment:request", stdin=b"00\n0", says=":2: expected pairs")
        self.bad(1, "decode", "--hex", "increment:request", stdin=b"?? 00", says=":1: expected pairs")
        self.bad(1, "decode", "--hex", "increment:request", stdin=b"0 0 1 1 2 2 3 3", says="expected pairs")

    def test_a_batch_shows_its_directory(self):
        out = json.loads(self.good("decode", "batch:3", stdin=vector("valid", "batch-3-empty-items")))
        self.assertEqual(out["payload_len"], 32)
        self.assertEqual([(i["offset"], i["length"]) for i in out["items"]], [(0, 0), (0, 4), (8, 0)])
        self.assertEqual(out["items"][1]["bytes"], {"hex": "77777777"})
        self.bad(1, "decode", "batch:9", stdin=vector("valid", "batch-3-empty-items"))

    def test_bytes_that_are_no_text(self):
        out = json.loads(self.good("decode", "string-reverse:request", stdin=vector("valid", "reverse-interior-nul")))
        self.assertEqual(out["head"], {next(iter(out["head"])): {"hex": "610062"}})
        out = json.loads(self.good("decode", "string-reverse:request", stdin=vector("valid", "reverse-utf8")))
        self.assertEqual(list(out["head"].values()), ["\u00e9\u20ac"])


class Json(Case):
    """What encode refuses."""

    def encode(self, status, kind, value, says):
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.bad(status, "encode", kind, stdin=text, says=says)

    def test_not_json(self):
        for text, says in ((b"", ":1:1: expected a value, found the end"), (b"{", ":1:2: expected a member"),
                           (b'{"a": 1,\n "a": 2}', 'two members are named "a"'), (b"[" * 100000, "deeper than 64"),
                           (b'{"value": 01}', ":1:11: a number must not begin with 0"),
                           (b'"\xff"', "not UTF-8"), (b'"\\ud800"', "lone surrogate")):
            self.encode(1, "header", text, says)

    def test_fixed_records_are_complete_and_in_range(self):
        good = json.loads(self.good("decode", "header", stdin=vector("valid", "hdr-request-single")))
        for change, says in (({"flags": 65536}, "flags: expected an integer of 0..65535, found 65536"),
                             ({"flags": -1}, "flags: expected an integer of 0..65535, found -1"),
                             ({"flags": 1.0}, "flags: expected an integer"),
                             ({"flags": "1"}, 'found the string "1"'),
                             ({"flags": None}, "found null"),
                             ({"message_id": 2 ** 64}, "0..18446744073709551615"),
                             ({"magic": 1}, "magic: expected 1313427523, found 1"),
                             ({"kind": 9}, "header.kind"),
                             ({"falgs": 1}, 'unknown member "falgs"; did you mean "flags"?')):
            self.encode(1, "header", {**good, **change}, says)
        for name in good:
            rest = {k: v for k, v in good.items() if k != name}
            if name in ("magic", "version", "header_len"):
                self.assertEqual(len(self.good("encode", "header", stdin=json.dumps(rest).encode())), 32)
            else:
                self.encode(1, "header", rest, name + ": expected an integer, the member is missing")
        self.encode(1, "header", [good], "header: expected an object, found an array")

    def test_integers_keep_all_bits(self):
        for value in (0, 2 ** 53 + 1, 2 ** 64 - 1):
            raw = self.good("encode", "increment:request", stdin=json.dumps({"head": {"value": value}}).encode())
            self.assertEqual(int.from_bytes(raw, "little"), value)
        self.encode(1, "increment:request", {"head": {"value": 2 ** 64}}, "head.value: expected an integer of 0..")
        self.encode(1, "increment:request", {"head": {"value": 1e3}}, "found 1000.0")
        self.encode(1, "increment:request", {"head": {"value": True}}, "found true")

    def test_records(self):
        good = json.loads(self.good("decode", "cgroups-snapshot:response", stdin=vector("valid", "snapshot-resp-3")))
        self.encode(1, "cgroups-snapshot:response", {"head": good["head"]}, "rows: expected an array")
        self.encode(1, "cgroups-snapshot:response", {"rows": []}, "head: expected an object")
        self.encode(1, "cgroups-snapshot:response", {**good, "tail": 1}, 'unknown member "tail"')
        self.encode(1, "cgroups-snapshot:response", {**good, "rows": {}}, "rows: expected an array, found an object")
        row = dict(good["rows"][0])
        del row["path"]
        self.encode(1, "cgroups-snapshot:response", {**good, "rows": [good["rows"][0], row]},
                    "rows[1].path: expected a member of type str")
        for path, says in ((7, "rows[0].path: expected a string or"), ({"hex": "0"}, "pairs of hexadecimal"),
                           ({"hex": "zz"}, "pairs of hexadecimal"), ({"hex": "00", "x": 1}, "expected a string or"),
                           ({"hax": "00"}, "expected a string or")):
            self.encode(1, "cgroups-snapshot:response", {**good, "rows": [{**good["rows"][0], "path": path}]}, says)
        self.encode(1, "increment:request", {"head": {"value": 1}, "rows": []}, 'unknown member "rows"')

    def test_a_string_may_be_given_as_hexadecimal(self):
        a = self.good("encode", "string-reverse:request", stdin=b'{"head": {"str": "abc"}}'.replace(b"str", self.column()))
        b = self.good("encode", "string-reverse:request",
                      stdin=b'{"head": {"str": {"hex": "616263"}}}'.replace(b"str", self.column()))
        self.assertEqual(a, b)
        self.assertEqual(a, vector("valid", "reverse-abc"))

    def column(self):
        out = json.loads(self.good("decode", "string-reverse:request", stdin=vector("valid", "reverse-abc")))
        return next(iter(out["head"])).encode()

    def test_batches(self):
        good = json.loads(self.good("decode", "batch:2", stdin=vector("valid", "batch-2-of-8-compacted")))
        self.encode(1, "batch:3", good, "items: expected an array of 3 items, found 2")
        self.encode(1, "batch:2", {"items": [{"bytes": "a"}, {"bytes": "b", "length": 2}]}, "items[1].length: expected 1")
        self.encode(1, "batch:2", {"items": [{"bytes": "a"}, {}]}, 'items[1]: expected a member "bytes"')
        self.encode(1, "batch:2", {**good, "payload_len": 20}, "does not fit the payload")
        self.encode(1, "batch:2", {**good, "payload_len": 8}, "the directory does not fit")
        bare = {"items": [{"bytes": i["bytes"]} for i in good["items"]]}
        self.assertEqual(self.good("encode", "batch:2", stdin=json.dumps(bare).encode()),
                         vector("valid", "batch-2-of-8-compacted"))


# -- modules ---------------------------------------------------------------------------------------------

class Modules(Case):
    def files(self):
        files = json.loads(self.good("modules", "--json"))["files"]
        return {re.split(r"[/\\]", f["path"])[-1]: f for f in files}

    def test_everything_is_found_and_nothing_loaded(self):
        files = [f for f in self.files().values() if f["path"] != "(builtin)"]
        self.assertGreaterEqual(len(files), 7)
        self.assertEqual({f["state"] for f in files}, {"found"})
        self.assertEqual({f["generation"] for f in files}, {0})
        table = self.good("modules").decode().splitlines()
        self.assertEqual(table[0].split(), ["state", "id", "version", "provides", "file"])
        self.assertEqual(len(table) - 1, len(self.files()))

    def test_refused_files_have_their_reason(self):
        self.own_modules()
        with open(os.path.join(self.modules, "garbage" + host.MODULE), "w") as f:
            f.write("no module")
        os.chmod(os.path.join(self.modules, host.BASELINE + host.MODULE), 0o777)
        files = self.files()
        self.assertEqual(files["garbage" + host.MODULE]["state"], "refused")
        self.assertNotEqual(files["garbage" + host.MODULE]["reason"], "")
        self.assertEqual(files[host.BASELINE + host.MODULE]["state"], "refused")
        self.assertIn(host.WRITABLE, files[host.BASELINE + host.MODULE]["reason"])
        text = self.good("modules", "--why").decode()
        self.assertIn(files[host.BASELINE + host.MODULE]["reason"], text)
        self.assertIn(files["garbage" + host.MODULE]["reason"], text)

    def test_no_modules_at_all(self):
        self.modules = os.path.join(self.dir, "none")
        self.assertIn("no module files in " + host.path(self.modules), self.good("modules").decode())
        self.assertEqual(json.loads(self.good("modules", "--json"))["files"], [])

    def test_the_path_must_be_absolute(self):
        self.bad(2, "modules", "--module-path", "relative", says="relative")

    def test_a_file_name_cannot_touch_the_terminal(self):
        self.own_modules()
        with open(os.path.join(self.modules, "a\x1b[2J" + host.MODULE), "w") as f:
            f.write("x")
        self.assertNotIn(b"\x1b", self.good("modules", "--why"))
        self.assertNotIn(b"\x1b", self.good("modules", "--json"))


def has_cgroups():
    try:
        with open("/proc/self/mountinfo") as mounts:
            return " - cgroup" in mounts.read()
    except OSError:
        return False


needs_cgroups = unittest.skipUnless(has_cgroups(), "no control group file system is mounted here")


SERVICES = ["increment", "string-reverse"] + ([] if host.WINDOWS else ["cgroups-snapshot"])


# -- calls -----------------------------------------------------------------------------------------------

class Calls(Case):
    def setUp(self):
        super().setUp()
        self.server = self.serve(*SERVICES)
        self.addCleanup(self.check_end)

    def check_end(self):
        rc, out, err = self.stop(self.server)
        self.assertEqual((rc, err), (0, ""))
        self.assertFalse(os.path.exists(self.run_dir))

    def ok(self, *args):
        rc, out, err = self.call(*args)
        self.assertEqual((rc, err), (0, ""), args)
        return out

    def test_lone_values(self):
        self.assertEqual(self.ok("increment", "41"), b"42\n")
        self.assertEqual(self.ok("increment", "0xfe"), b"255\n")
        self.assertEqual(self.ok("increment", "18446744073709551615"), b"0\n")
        self.assertEqual(self.ok("string-reverse", "abc"), b"cba\n")
        self.assertEqual(self.ok("string-reverse", ""), b"\n")
        self.assertEqual(self.ok("string-reverse", "--", "--json"), b"nosj--\n")
        self.assertEqual(self.ok("string-reverse", "x" * 1000), b"x" * 1000 + b"\n")

    def test_values_are_shown_safely_and_exactly(self):
        self.assertEqual(self.ok("string-reverse", "m13[\x1b"), b"\\x1b[31m\n")
        self.assertEqual(self.ok("string-reverse", "\u00e9"), b"\\xa9\\xc3\n")
        self.assertEqual(list(json.loads(self.ok("--json", "string-reverse", "\u00e9"))["head"].values()),
                         [{"hex": "a9c3"}])

    def test_json(self):
        self.assertEqual(json.loads(self.ok("--json", "increment", "9007199254740992")),
                         {"head": {"value": 9007199254740993}})

    @posix_only("linux")
    @needs_cgroups
    def test_json_of_rows(self):
        out = json.loads(self.ok("--json", "cgroups-snapshot"))
        self.assertEqual(set(out), {"head", "rows"})

    @posix_only("linux")
    @needs_cgroups
    def test_the_answer_can_be_encoded_again(self):
        out = self.ok("--json", "cgroups-snapshot")
        raw = self.good("encode", "cgroups-snapshot:response", stdin=out)
        self.assertEqual(json.loads(self.good("decode", "cgroups-snapshot:response", stdin=raw)), json.loads(out))

    @posix_only("linux")
    @needs_cgroups
    def test_rows_are_a_table(self):
        lines = self.ok("cgroups-snapshot").decode().splitlines()
        count = next(int(line.split()[1]) for line in lines if line.startswith("rows: "))
        head = next(i for i, line in enumerate(lines) if {"name", "path"} <= set(line.split()))
        self.assertEqual(len(lines) - head - 1, count)

    def test_arguments_are_checked(self):
        self.bad(2, "call", "--run-dir", self.run_dir, "increment", says="expected the arguments value (u64), found 0")
        self.bad(2, "call", "--run-dir", self.run_dir, "increment", "1", "2", says="found 2 arguments")
        self.bad(2, "call", "--run-dir", self.run_dir, "increment", "-1", says="expected u64, found '-1'")
        self.bad(2, "call", "--run-dir", self.run_dir, "increment", "abc", says="expected u64, found 'abc'")

    def test_the_token_must_agree(self):
        err = self.bad(5, "call", "--run-dir", self.run_dir, "--token", "1", "increment", "1", says="AUTH_FAILED")
        self.assertIn("increment", err)

    def test_explain_shows_the_choice(self):
        rc, out, err = self.call("--explain", "--profiles", "0x1", "increment", "1")
        self.assertEqual((rc, out), (0, b"2\n"))
        self.assertRegex(err, r"handshake: +OK\n")
        self.assertRegex(err, r"profile selected: +0x1\n")
        self.assertRegex(err, r"0x1 +org\.viaduct\.%s +selected" % host.BASELINE)

    def test_explain_shows_the_best_of_what_is_installed(self):
        rc, out, err = self.call("--explain", "increment", "1")
        self.assertEqual((rc, out), (0, b"2\n"))
        offered = [int(word, 0) for word in re.search(r"profiles offered: +(.*)\n", err)[1].split()]
        self.assertEqual(sum(offered), 1 | self.upgrades())
        self.assertRegex(err, r"profile selected: +0x%x\n" % max(offered))
        self.assertRegex(err, r"(?m)^0x%x +\S+ +selected" % max(offered))
        for bit in offered:
            if bit != max(offered):
                self.assertRegex(err, r"(?m)^0x%x +org\.viaduct\.\S+ +offered, not selected" % bit)

    def upgrades(self):
        """The profile bits that the modules in MODULES offer by themselves, from their own words."""
        found = 0
        for name in os.listdir(self.modules):
            if name.endswith(host.MODULE):
                with open(os.path.join(self.modules, name), "rb") as f:
                    for note in re.findall(rb"provides=transport ([^\0]*roles=upgrade[^\0]*)", f.read()):
                        requested = re.search(rb"by_request=(0x[0-9a-f]+)", note)
                        found |= int(re.search(rb"profiles=(0x[0-9a-f]+)", note)[1], 16) & \
                            ~(int(requested[1], 16) if requested else 0)
        return found

    def test_explain_shows_why_not(self):
        rc, out, err = self.call("--explain", "--profiles", "0x1,0x80", "increment", "1")
        self.assertEqual(rc, 0)
        self.assertRegex(err, r"0x80 +- +\S.*no module")

    def test_no_other_service_is_there(self):
        os.mkdir(os.path.join(self.dir, "other"))
        self.bad(3, "call", "--run-dir", os.path.join(self.dir, "other"), "increment", "1", says="increment")

    def test_a_service_name_is_checked(self):
        self.bad(6, "call", "--run-dir", self.run_dir, "../x", "1", says="../x")


class Explain(Case):
    """The server's module is spoiled before it is needed: the first call that needs it loads it."""

    def setUp(self):
        super().setUp()
        self.own_modules()
        self.server = self.serve("increment", "string-reverse")
        self.file = os.path.join(self.modules, "service-increment" + host.MODULE)

    def explained(self):
        rc, out, err = self.call("--explain", "increment", "1")
        self.assertEqual((rc, out), (1, b""), err)
        self.assertIn("INTERNAL_ERROR", err)
        return err

    def served(self):
        rc, out, err = self.call("string-reverse", "abc")
        self.assertEqual((rc, out), (0, b"cba\n"), err)

    def test_removed(self):
        os.unlink(self.file)
        self.assertIn("no usable file provides the service", self.explained())
        self.served()

    def test_world_writable(self):
        os.chmod(self.file, 0o777)
        self.assertRegex(self.explained(), r"service-increment\.(so|dll): refused.*" + host.WRITABLE)
        self.served()

    def test_garbage(self):
        with open(self.file + ".new", "w") as f:
            f.write("this is no module\n")
        os.chmod(self.file + ".new", 0o755)
        os.rename(self.file + ".new", self.file)
        self.assertRegex(self.explained(), r"service-increment\.(so|dll): refused: \S")
        self.served()

    def test_another_abi(self):
        with open(self.file, "rb") as f:
            image = f.read()
        self.assertEqual(image.count(b"viaduct-module\0abi=1\0"), 1)
        with open(self.file + ".new", "wb") as f:
            f.write(image.replace(b"viaduct-module\0abi=1\0", b"viaduct-module\0abi=2\0"))
        os.chmod(self.file + ".new", 0o755)
        os.rename(self.file + ".new", self.file)
        self.assertRegex(self.explained(), r"service-increment\.(so|dll): refused.*ABI.*2")
        self.served()

    def test_a_transport_that_is_missing_here(self):
        os.unlink(os.path.join(self.modules, host.BASELINE + host.MODULE))
        rc, out, err = self.call("--explain", "increment", "1")
        self.assertNotEqual(rc, 0)
        self.assertIn("looked at in " + host.path(self.modules), err)


# -- serve -----------------------------------------------------------------------------------------------

class Serve(Case):
    def test_stops_in_order(self):
        for number in (signal.SIGINT,) if host.WINDOWS else (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            p = self.serve("increment")
            self.assert_mode(self.run_dir, 0o700)
            self.assertEqual(self.call("increment", "1")[1], b"2\n")
            rc, out, err = self.stop(p, number)
            self.assertEqual((rc, out, err), (0, b"", ""))
            self.assertFalse(os.path.exists(self.run_dir))

    def test_an_existing_directory_stays(self):
        os.mkdir(self.run_dir, 0o755)
        self.assertEqual(self.stop(self.serve("increment"))[0], 0)
        self.assertEqual(os.listdir(self.run_dir), [])
        self.assert_mode(self.run_dir, 0o755)

    def test_two_servers_of_one_service(self):
        p = self.serve("increment")
        self.bad(1, "serve", "--run-dir", self.run_dir, "increment", says="increment")
        self.assertEqual(self.call("increment", "1")[1], b"2\n")
        self.assertEqual(self.stop(p)[0], 0)

    def test_unknown_services(self):
        self.bad(6, "serve", "--run-dir", self.run_dir, "nosuch", says="nosuch")
        self.assertFalse(os.path.exists(self.run_dir))

    def test_the_next_server_starts_after_a_kill(self):
        p = self.serve("increment")
        p.kill()
        p.wait()
        self.assertEqual(self.call("increment", "1")[0], 3)
        q = self.serve("increment")
        self.assertEqual(self.call("increment", "1")[1], b"2\n")
        self.assertEqual(self.stop(q)[0], 0)
        self.assertEqual(os.listdir(self.run_dir), [])

    @posix_only("sockets")
    def test_a_silent_server_is_a_timeout(self):
        os.mkdir(self.run_dir, 0o700)
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(s.close)
        s.bind(os.path.join(self.run_dir, "increment.sock"))
        s.listen(8)
        self.bad(4, "call", "--run-dir", self.run_dir, "--timeout", "300ms", "increment", "1", says="increment")

    def test_the_default_directory(self):
        env = self.env(XDG_RUNTIME_DIR=self.dir)
        p = self.start(VIADUCT, "serve", "increment", env=env)
        where = r"C:\ProgramData\viaduct" if host.WINDOWS else self.dir + "/viaduct"
        self.lines_until(p.stdout, "serving increment in " + where)
        rc, out, err = self.viaduct("call", "increment", "1", env=env)
        self.assertEqual((rc, out, err), (0, b"2\n", ""))
        self.assertEqual(self.stop(p)[0], 0)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "viaduct")))


class Slow(Case):
    """A service that keeps its call for 0, and that is not named like its codec."""

    def setUp(self):
        super().setUp()
        self.own_modules()
        shutil.copy(os.environ["VIADUCT_FIXTURE"], os.path.join(self.modules, "slow" + host.MODULE))
        os.chmod(os.path.join(self.modules, "slow" + host.MODULE), 0o755)

    def call_for_ever(self, p, service="test-slow"):
        """Starts a call that is not answered; returns it when the server has taken it."""
        call = self.start(VIADUCT, "call", "--run-dir", self.run_dir, service, "0")
        self.lines_until(p.stderr, "org.viaduct.test.slow: version 1.0.0 loaded")
        # the same worker answers this one after it has taken the other
        self.assertEqual(self.call(service, "5")[1], b"6\n")
        return call

    def test_the_service_tells_its_codec(self):
        p = self.serve("test-slow")
        rc, out, err = self.call("test-slow", "41")
        self.assertEqual((rc, out, err), (0, b"42\n", ""))
        self.bad(2, "call", "--run-dir", self.run_dir, "test-slow", says="increment: expected the arguments value (u64)")
        self.assertEqual(self.stop(p)[0], 0)

    def test_a_call_has_its_deadline(self):
        p = self.serve("test-slow")
        self.bad(4, "call", "--run-dir", self.run_dir, "--timeout", "200ms", "test-slow", "0", says="test-slow")
        self.assertEqual(self.call("test-slow", "1")[1], b"2\n")
        self.end(p)

    def test_draining_waits_and_then_abandons(self):
        p, _ = self.daemon("[daemon]\nworkers = 1\ndrain_timeout = 300ms\n")
        call = self.call_for_ever(p)
        start = time.monotonic()
        rc, out, err = self.stop(p)
        self.assertEqual(rc, 0)
        self.assertGreaterEqual(time.monotonic() - start, 0.25)
        self.assertIn("warning: stopping: ", err)
        self.assertFalse(os.path.exists(self.run_dir))
        out, err = call.communicate(timeout=DEADLINE)
        self.assertEqual((call.returncode, out), (1, b""), err)

    def test_a_module_that_does_not_let_go_cannot_keep_the_daemon(self):
        p, _ = self.daemon("[daemon]\nworkers = 1\ndrain_timeout = 100ms\n")
        call = self.call_for_ever(p, "test-stuck")
        rc, out, err = self.stop(p)
        self.assertEqual(rc, 1)
        self.assertIn("a module does not let go of its calls", err)
        self.assertEqual(call.wait(timeout=DEADLINE), 1)
        self.assertEqual(self.stop(self.daemon()[0])[0], 0)
        self.assertEqual(os.listdir(self.run_dir), [])

    def test_a_second_signal_stops_at_once(self):
        # nobody joins the threads of one that is told to stop at once
        env = self.env(TSAN_OPTIONS=os.environ.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0")
        p, _ = self.daemon("[daemon]\nworkers = 1\ndrain_timeout = 1h\n", env=env)
        call = self.call_for_ever(p)
        p.send_signal(host.STOP)
        self.lines_until(p.stderr, "stopping")
        rc, out, err = self.stop(p)
        self.assertEqual(rc, 1)
        self.assertIn("told to stop again", err)
        self.assertEqual(call.wait(timeout=DEADLINE), 1)

    @posix_only("signals")
    def test_a_reload_leaves_other_sessions_alone(self):
        listed = "[daemon]\nserve = listed\nworkers = 1\ndrain_timeout = 100ms\n[service test-slow]\n"
        p, _ = self.daemon(listed + "[service increment]\n")
        call = self.call_for_ever(p)
        for text, says in ((listed + "[service string-reverse]\n", "1 services added, 0 changed, 1 removed, 1 untouched"),
                           (listed + "[service increment]\n", "1 services added, 0 changed, 1 removed, 1 untouched")):
            with open(os.path.join(self.dir, "d.conf"), "w") as f:
                f.write(text)
            p.send_signal(signal.SIGHUP)
            self.assertIn(says, self.lines_until(p.stderr, "reloaded: "))
        self.assertIsNone(call.poll())
        self.assertEqual(self.call("increment", "1")[1], b"2\n")
        self.end(call)
        self.assertEqual(self.stop(p)[0], 0)

    @posix_only("signals")
    def test_a_reload_does_not_wait_for_a_stuck_module(self):
        p, _ = self.daemon("[daemon]\nworkers = 1\ndrain_timeout = 100ms\n")
        call = self.call_for_ever(p, "test-stuck")
        with open(os.path.join(self.dir, "d.conf"), "w") as f:
            f.write("[daemon]\nworkers = 1\ndrain_timeout = 100ms\n[service test-stuck]\ntoken = 1\n")
        p.send_signal(signal.SIGHUP)
        self.assertIn("1 changed", self.lines_until(p.stderr, "reloaded: "))
        self.assertEqual(call.wait(timeout=DEADLINE), 1)
        self.assertEqual(self.call("--token", "1", "test-stuck", "5")[1], b"6\n")
        rc, out, err = self.stop(p)
        self.assertEqual(rc, 1)
        self.assertIn("a module does not let go of its calls", err)

    def test_kill_is_a_distinct_error_at_once(self):
        p, _ = self.daemon("[daemon]\nworkers = 1\n")
        call = self.call_for_ever(p)
        p.kill()
        out, err = call.communicate(timeout=DEADLINE)
        self.assertEqual((call.returncode, out), (1, b""))
        self.assertEqual(err.count(b"\n"), 1)


# -- daemon ----------------------------------------------------------------------------------------------

class Daemon(Case):
    def test_serves_everything_by_default(self):
        p, log = self.daemon()
        for name in SERVICES:
            self.assertIn("serving %s\n" % name, log)
        self.assert_mode(self.run_dir, 0o700)
        self.assertEqual(self.call("increment", "41")[:2], (0, b"42\n"))
        rc, out, err = self.stop(p)
        self.assertEqual((rc, out), (0, b""))
        self.assertTrue(err.endswith("viaductd: info: stopped\n"), err)
        self.assertFalse(os.path.exists(self.run_dir))

    @posix_only("signals")
    def test_modules_are_loaded_by_the_first_call(self):
        p, log = self.daemon()
        self.assertNotIn("service.increment", log)
        p.send_signal(signal.SIGUSR1)
        self.assertNotIn("service.increment", self.lines_until(p.stderr, "report: "))
        self.assertEqual(self.call("increment", "1")[0], 0)
        p.send_signal(signal.SIGUSR1)
        log = self.lines_until(p.stderr, "report: ")
        self.assertRegex(log, r"module org\.viaduct\.service\.increment \S+ is loaded")
        self.assertNotIn("service.string-reverse", log)
        self.assertRegex(log, r"1 accepted, 0 refused, 0 handshakes failed, 1 calls, 0 failed")
        self.assertEqual(self.stop(p)[0], 0)

    def test_an_interrupt_stops_it(self):
        self.assertEqual(self.stop(self.daemon()[0], signal.SIGINT)[0], 0)

    @posix_only("systemd")
    def test_tells_the_service_manager(self):
        path = os.path.join(self.dir, "notify")
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.settimeout(DEADLINE)
        s.bind(path)
        p, _ = self.daemon(env=self.env(NOTIFY_SOCKET=path))
        self.assertEqual(s.recv(100), b"READY=1")
        p.send_signal(signal.SIGTERM)
        self.assertEqual(s.recv(100), b"STOPPING=1")
        p.communicate(timeout=DEADLINE)
        self.assertEqual(p.returncode, 0)

    @posix_only("systemd")
    def test_abstract_notify_sockets(self):
        name = "viaduct-test-%d" % os.getpid()
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.settimeout(DEADLINE)
        s.bind("\0" + name)
        p, _ = self.daemon(env=self.env(NOTIFY_SOCKET="@" + name))
        self.assertEqual(s.recv(100), b"READY=1")
        self.assertEqual(self.stop(p)[0], 0)

    @posix_only("systemd")
    def test_a_notify_socket_nobody_has_is_no_reason_to_die(self):
        p, log = self.daemon(env=self.env(NOTIFY_SOCKET=self.dir + "/none"))
        self.assertEqual(self.call("increment", "1")[0], 0)
        self.assertIn("$NOTIFY_SOCKET", self.stop(p)[2])
        self.assertEqual(p.returncode, 0)

    @posix_only("systemd")
    def test_journal_priorities(self):
        r, w = os.pipe()
        st = os.fstat(w)
        conf = os.path.join(self.dir, "d.conf")
        open(conf, "w").close()
        p = self.start(VIADUCTD, "-c", conf, "--run-dir", self.run_dir, err=w,
                       env=self.env(JOURNAL_STREAM="%d:%d" % (st.st_dev, st.st_ino)))
        os.close(w)
        with os.fdopen(r, "rb", 0) as log:
            text = self.lines_until(log, "ready: ")
            p.send_signal(signal.SIGTERM)
            p.wait(timeout=DEADLINE)
            text += log.read().decode()
        self.assertEqual(p.returncode, 0)
        for line in text.splitlines():
            self.assertRegex(line, r"^<[3-7]>")

    @posix_only("modes")
    def test_run_directories_that_are_refused(self):
        conf = os.path.join(self.dir, "d.conf")
        open(conf, "w").close()
        real = os.path.join(self.dir, "real")
        os.mkdir(real)
        link = os.path.join(self.dir, "link")
        os.symlink(real, link)
        open_dir = os.path.join(self.dir, "open")
        os.mkdir(open_dir)
        os.chmod(open_dir, 0o777)
        for path, says in ((link, "symbolic link"), (link + "/", "symbolic link"), (open_dir, "mode 0777"),
                           (conf, "expected a directory"), (self.dir + "/a/b", "cannot be made"),
                           ("relative", "absolute")):
            self.bad(1, "-c", conf, "--run-dir", path, program=VIADUCTD, says=says)
        os.chmod(open_dir, 0o1777)
        self.run_dir = open_dir
        self.assertEqual(self.stop(self.daemon()[0])[0], 0)
        self.assertTrue(os.path.isdir(open_dir))

    def test_a_directory_that_is_not_empty_stays(self):
        p, _ = self.daemon()
        with open(os.path.join(self.run_dir, "mine"), "w"):
            pass
        self.assertEqual(self.stop(p)[0], 0)
        self.assertEqual(os.listdir(self.run_dir), ["mine"])

    def test_services_by_configuration(self):
        p, log = self.daemon("[daemon]\nserve = listed\ntoken = 5\nworkers = 1\nrun_dir_mode = 0750\n"
                             "[service increment]\ntoken = 9\n[service string-reverse]\n")
        self.assertNotIn("cgroups", log)
        self.assert_mode(self.run_dir, 0o750)
        self.assertEqual(self.call("--token", "9", "increment", "1")[1], b"2\n")
        self.assertEqual(self.call("--token", "5", "increment", "1")[0], 5)
        self.assertEqual(self.call("--token", "5", "string-reverse", "ab")[1], b"ba\n")
        self.assertEqual(self.stop(p)[0], 0)

    def test_a_disabled_service(self):
        p, log = self.daemon("[service increment]\nenabled = no\n[service gone]\nenabled = no\n")
        self.assertNotIn("serving increment", log)
        self.assertIn("serving string-reverse", log)
        self.assertEqual(self.call("increment", "1")[0], 3)
        self.assertEqual(self.stop(p)[0], 0)

    @posix_only("systemd")
    def test_log_levels(self):
        p = self.start(VIADUCTD, "-c", self.empty(), "--run-dir", self.run_dir)
        self.lines_until(p.stderr, "ready: ")
        self.assertEqual(self.stop(p)[0], 0)
        conf = os.path.join(self.dir, "quiet.conf")
        with open(conf, "w") as f:
            f.write("[daemon]\nlog_level = error\n")
        path = os.path.join(self.dir, "notify")
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.settimeout(DEADLINE)
        s.bind(path)
        p = self.start(VIADUCTD, "-c", conf, "--run-dir", self.run_dir, env=self.env(NOTIFY_SOCKET=path))
        self.assertEqual(s.recv(100), b"READY=1")
        self.assertEqual(self.stop(p), (0, b"", ""))


class Service:
    """viaductd as a service of Windows; what it logs is read from its file."""

    def __init__(self, case, conf):
        self.case, self.conf, self.name, self.at = case, conf, "viaduct test %d" % os.getpid(), 0
        self.log = os.path.join(case.dir, "service.log")
        rc, out, err = case.run_program(VIADUCTD, "--install-service", "--name", self.name, "-c", conf,
                                        "--run-dir", case.run_dir, "--log", self.log)
        case.assertEqual((rc, err), (0, ""))
        case.addCleanup(self.remove)
        self.sc("start")
        self.wait_for_state("RUNNING")

    def sc(self, verb, fails=False):
        p = subprocess.run(host.command("sc", verb, self.name), capture_output=True, timeout=DEADLINE,
                           stdin=subprocess.DEVNULL)
        self.case.assertEqual(p.returncode != 0, fails, (verb, p.stdout))
        return p.stdout.decode()

    def wait_for_state(self, word):
        end = time.monotonic() + DEADLINE
        while word not in (text := self.sc("query")):
            self.case.assertLess(time.monotonic(), end, "no %s: %s" % (word, text))
        return text

    def registry(self):
        return subprocess.run(host.command("reg", "query", r"HKLM\System\CurrentControlSet\Services\\" + self.name),
                              capture_output=True, timeout=DEADLINE).stdout.decode()

    def control(self, code):
        rc, out, err = self.case.run_program(CONTROL, "control", self.name, str(code))
        self.case.assertEqual((rc, err), (0, ""))

    def lines_until(self, word):
        self.case.wait_for(self.log, word, self.at)
        with open(self.log, "rb") as f:
            f.seek(self.at)
            text = f.read()
        self.at += len(text)
        return text.decode()

    def stop(self):
        self.sc("stop")
        state = self.wait_for_state("STOPPED")
        return int(re.search(r"SERVICE_EXIT_CODE *: (\d+)", state)[1]), b"", self.lines_until("stopped")

    def remove(self):
        rc, out, err = self.case.run_program(VIADUCTD, "--remove-service", "--name", self.name)
        self.case.assertEqual((rc, err), (0, ""))
        self.sc("query", fails=True)  # there is none


class Reload(Case):
    """A new configuration while sessions go on. On Windows the daemon is a service here, for that is how it is told."""

    def configure(self, text):
        with open(os.path.join(self.dir, "d.conf"), "w") as f:
            f.write(text)

    def daemon(self, text="", env=None):
        if not host.WINDOWS:
            return super().daemon(text, env=env)
        self.configure(text)
        p = Service(self, os.path.join(self.dir, "d.conf"))
        return p, p.lines_until("ready: ")

    def hang_up(self, p, word):
        """Makes the daemon reload; returns its log up to the line with the word."""
        if host.WINDOWS:
            p.control(6)  # SERVICE_CONTROL_PARAMCHANGE
            return p.lines_until(word)
        p.send_signal(signal.SIGHUP)
        return self.lines_until(p.stderr, word)

    def reload(self, p, text, word="reloaded: "):
        self.configure(text)
        return self.hang_up(p, word)

    def stop(self, p):
        return p.stop() if isinstance(p, Service) else super().stop(p)

    def number(self, *args):
        return self.call(*args, "increment", "1")[:2]

    def test_services_come_change_and_go(self):
        p, log = self.daemon("[daemon]\nserve = listed\n[service increment]\n")
        self.assertNotIn("string-reverse", log)
        log = self.reload(p, "[daemon]\nserve = listed\n[service increment]\n[service string-reverse]\n")
        self.assertIn("serving string-reverse\n", log)
        self.assertIn("reloaded: 1 services added, 0 changed, 0 removed, 1 untouched", log)
        self.assertEqual(self.call("string-reverse", "ab")[1], b"ba\n")
        log = self.reload(p, "[daemon]\nserve = listed\n[service increment]\ntoken = 7\n[service string-reverse]\n")
        self.assertIn("0 services added, 1 changed, 0 removed, 1 untouched", log)
        self.assertEqual(self.number()[0], 5)
        self.assertEqual(self.number("--token", "7"), (0, b"2\n"))
        log = self.reload(p, "[daemon]\nserve = listed\n[service string-reverse]\n")
        self.assertIn("0 services added, 0 changed, 1 removed, 1 untouched", log)
        self.assertEqual(self.number("--token", "7")[0], 3)
        self.assertEqual(self.call("string-reverse", "ab")[1], b"ba\n")
        self.assertEqual(self.stop(p)[0], 0)
        self.assertFalse(os.path.exists(self.run_dir))

    def test_a_bad_configuration_changes_nothing(self):
        good = "[daemon]\nserve = listed\n[service increment]\ntoken = 7\n"
        p, _ = self.daemon(good)
        for text, says in (("[daemon]\nworker = 1\n", r'd\.conf:2: unknown key "worker"'),
                           ("[daemon]\nserve = listed\n", "nothing to serve"),
                           ("[service nosuch]\n", r"d\.conf:1: \[service nosuch\]: "),
                           ("[module org.nosuch]\n", r"d\.conf:1: \[module org.nosuch\]: "),
                           ("[service increment]\nprofiles = nosuch\n", "'nosuch' is neither a number nor")):
            log = self.reload(p, text, "the old configuration stays")
            self.assertRegex(log, says)
            self.assertEqual(self.number("--token", "7"), (0, b"2\n"))
        os.unlink(os.path.join(self.dir, "d.conf"))
        log = self.hang_up(p, "the old configuration stays")
        self.assertIn("(error 2)" if host.WINDOWS else "No such file", log)
        self.assertIn("1 untouched", self.reload(p, good))
        self.assertEqual(self.stop(p)[0], 0)

    def test_a_service_that_cannot_start_goes_on_as_it_was(self):
        p, _ = self.daemon("[service increment]\ntoken = 7\n")
        log = self.reload(p, "[service increment]\ntransport = nosuch\n")
        self.assertRegex(log, "error: increment: .*nosuch")
        self.assertIn("warning: reload: increment goes on as it was", log)
        self.assertEqual(self.number("--token", "7"), (0, b"2\n"))
        log = self.reload(p, "[service increment]\n")
        self.assertIn("1 changed", log)
        self.assertEqual(self.number(), (0, b"2\n"))
        self.assertEqual(self.stop(p)[0], 0)

    def test_what_only_a_new_start_changes_is_said(self):
        p, _ = self.daemon("[daemon]\nrun_dir_mode = 0700\n")
        new = "[daemon]\nrun_dir_mode = 0750\npolicy = frugal\nlog_level = warn\n"
        for _ in range(2): # again each time
            log = self.reload(p, new)
            for key in ("run_dir_mode", "policy", "log_level"):
                self.assertIn("warning: reload: %s is taken over by the next start only" % key, log)
        self.assertIn("0 changed", log)
        self.assertEqual(self.stop(p)[0], 0)

    @posix_only("linux")
    def test_a_module_is_configured_anew(self):
        p, _ = self.daemon()
        self.assertEqual(self.call("cgroups-snapshot")[0], 0)
        log = self.reload(p, "[module org.viaduct.service.cgroups]\nno_such_key = 1\n")
        self.assertRegex(log, r"error: reload: \[module org\.viaduct\.service\.cgroups\]: the old configuration stays: .*no_such_key")
        self.assertEqual(self.call("cgroups-snapshot")[0], 0)
        log = self.reload(p, "[module org.viaduct.service.cgroups]\nmax_cgroups = 20000\n")
        self.assertIn("1 changed", log)
        self.assertNotIn("stays", log)
        self.assertEqual(self.call("cgroups-snapshot")[0], 0)
        self.assertIn("0 changed", self.reload(p, "[module org.viaduct.service.cgroups]\nmax_cgroups = 20000\n"))
        self.assertEqual(self.stop(p)[0], 0)

    @posix_only("signals")
    def test_the_log_is_opened_anew(self):
        log = os.path.join(self.dir, "log")
        self.configure("")
        p = self.start(VIADUCTD, "-c", os.path.join(self.dir, "d.conf"), "--run-dir", self.run_dir, "--log", log)
        self.wait_for(log, "ready: ")
        os.rename(log, log + ".1")
        p.send_signal(signal.SIGHUP)
        self.wait_for(log, "reloaded: ")
        self.assertEqual(self.stop(p), (0, b"", ""))
        with open(log + ".1") as old, open(log) as new:
            text = old.read() + new.read()
        self.assertIn("viaductd: info: stopped\n", text)
        for line in text.splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z viaductd: (info|warning): ")
        self.bad(1, "-c", os.path.join(self.dir, "d.conf"), "--log", self.dir, program=VIADUCTD, says="--log")

    @posix_only("systemd")
    def test_the_service_manager_is_told(self):
        path = os.path.join(self.dir, "notify")
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.settimeout(DEADLINE)
        s.bind(path)
        p, _ = self.daemon(env=self.env(NOTIFY_SOCKET=path))
        self.assertEqual(s.recv(100), b"READY=1")
        p.send_signal(signal.SIGHUP)
        self.assertRegex(s.recv(100), rb"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        self.assertEqual(s.recv(100), b"READY=1")
        self.assertEqual(self.stop(p)[0], 0)


@unittest.skipUnless(host.WINDOWS, "services of Windows")
class WindowsService(Case):
    """What Reload does not need of a service."""

    def test_a_reload_leaves_other_sessions_alone(self):
        self.own_modules()
        shutil.copy(os.environ["VIADUCT_FIXTURE"], os.path.join(self.modules, "slow" + host.MODULE))
        listed = "[daemon]\nserve = listed\nworkers = 1\ndrain_timeout = 100ms\nmodule_path = %s\n" % host.path(self.modules)
        listed += "[service test-slow]\n"
        p, _ = self.start_service(listed)
        call = self.start(VIADUCT, "call", "--run-dir", self.run_dir, "test-slow", "0")
        p.lines_until("org.viaduct.test.slow: version 1.0.0 loaded")
        self.assertEqual(self.call("test-slow", "5")[1], b"6\n")
        with open(p.conf, "w") as f:
            f.write(listed + "[service increment]\n")
        p.control(6)
        self.assertIn("1 services added, 0 changed, 0 removed, 1 untouched", p.lines_until("reloaded: "))
        self.assertEqual(self.call("increment", "5")[1], b"6\n")
        self.assertIsNone(call.poll())
        self.end(call)
        self.assertEqual(p.stop()[0], 0)

    def start_service(self, text=""):
        conf = os.path.join(self.dir, "with blanks.conf")
        with open(conf, "w") as f:
            f.write(text)
        p = Service(self, conf)
        return p, p.lines_until("ready: ")

    def test_how_it_is_installed(self):
        p, _ = self.start_service()
        out = p.registry()
        program = r'"[A-Z]:\\[^"]*\\viaductd\.exe"'  # it may be on several drives
        conf = host.path(os.path.join(self.dir, "with blanks.conf"))
        self.assertRegex(out, program + ' "--service" "--config" "%s"' % re.escape(conf))
        self.assertRegex(out, r"ObjectName +REG_SZ +NT AUTHORITY\\LocalService")
        self.assertRegex(out, r"Start +REG_DWORD +0x2")
        self.bad(1, "--install-service", "--name", p.name, program=VIADUCTD, says="is there already")

    def test_an_entry_that_an_installer_made(self):
        name = "viaduct test %d" % os.getpid()
        self.bad(1, "--prepare-service", "--name", name, program=VIADUCTD, says="there is no service " + name)
        p = Service.__new__(Service)
        p.case, p.name = self, name
        made = subprocess.run(host.command("sc", "create", name, "binPath=", host.path(VIADUCTD + ".exe")),
                              capture_output=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
        self.assertEqual(made.returncode, 0, made.stdout)
        self.addCleanup(p.remove)
        rc, out, err = self.run_program(VIADUCTD, "--prepare-service", "--name", name)
        self.assertEqual((rc, out, err), (0, b"service %s has what it needs\n" % name.encode(), ""))
        self.assertIn("Carries typed messages", p.registry())

    def test_it_serves_reports_and_stops(self):
        p, _ = self.start_service()
        self.assertEqual(self.call("increment", "41")[:2], (0, b"42\n"))
        p.control(128)
        self.assertRegex(p.lines_until("report: "), r"module org\.viaduct\.service\.increment \S+ is loaded")
        self.assertEqual(p.stop()[0], 0)
        self.assertEqual(self.call("increment", "41")[0], 3)
        p.sc("start")
        p.lines_until("ready: ")
        self.assertEqual(self.call("increment", "41")[:2], (0, b"42\n"))
        # remove() stops it

    def test_the_log_is_opened_anew(self):
        p, text = self.start_service()
        rc, out, err = self.run_program(CONTROL, "move", p.log, p.log + ".1")
        self.assertEqual((rc, err), (0, ""))
        p.at = 0
        p.control(6)
        text += p.lines_until("reloaded: ") + p.stop()[2]
        for line in text.splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z viaductd: (info|warning): ")

    def test_it_can_be_started_after_it_was_killed(self):
        p, _ = self.start_service()
        for pid in self.processes(p):
            os.kill(pid, signal.SIGKILL)
        # Windows would say that it has stopped, and start it; wine's manager does neither by itself
        p.sc("start")
        p.lines_until("ready: ")
        self.assertEqual(self.call("increment", "41")[:2], (0, b"42\n"))

    def processes(self, p):
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open("/proc/%s/cmdline" % name, "rb") as f:
                words = f.read()
                if b"--service" in words and os.path.basename(p.case.dir).encode() in words:
                    found.append(int(name))
        self.assertEqual(len(found), 1)
        return found

    def test_a_fault_at_the_start_is_in_the_log_and_the_status(self):
        p, _ = self.start_service()
        p.stop()
        with open(os.path.join(self.dir, "with blanks.conf"), "w") as f:
            f.write("[nonsense\n")
        p.sc("start")
        p.wait_for_state("STOPPED")
        self.assertIn("with blanks.conf:1:10: expected ']'", p.lines_until("expected"))
        self.assertRegex(p.sc("query"), r"SERVICE_EXIT_CODE *: 2 ")

    def test_its_configuration_is_beside_the_programs(self):
        """As in an installation: in etc beside the directory of the program, wherever that is."""
        bin = os.path.join(self.dir, "with blanks", "bin")
        etc = os.path.join(self.dir, "with blanks", "etc", "viaduct")
        os.makedirs(bin)
        os.makedirs(etc)
        for name in ("viaductd.exe", "viaduct.dll"):
            shutil.copy(os.path.join(os.path.dirname(VIADUCTD), name), bin)
        with open(os.path.join(etc, "viaductd.conf"), "w") as f:
            f.write("[nonsense\n")
        program = os.path.join(bin, "viaductd")
        self.bad(2, "--check", program=program, says=r"\with blanks\etc\viaduct\viaductd.conf:1:10: expected ']'")
        self.assertIn(rb"with blanks\etc\viaduct\viaductd.conf", self.run_program(program, "--help")[1])

    def test_what_is_refused(self):
        self.bad(2, "--service", program=VIADUCTD, says="expected the service control manager as parent")
        self.bad(2, "--install-service", "-c", self.dir + "/none", program=VIADUCTD, says="(error 2)")
        self.bad(2, "--install-service", "--remove-service", program=VIADUCTD, says="found several")
        self.bad(2, "--name", "x", program=VIADUCTD, says="belongs to --install-service")
        self.bad(1, "--remove-service", "--name", "nosuch", program=VIADUCTD, says="there is no service nosuch")


@unittest.skipUnless(host.WINDOWS, "what is not built for Windows")
class Elsewhere(Case):
    """Services and modules of other systems are known by name."""

    def test_a_service(self):
        says = "it is not built for Windows: it needs Linux"
        self.bad(6, "serve", "--run-dir", self.run_dir, "cgroups-snapshot", says="cgroups-snapshot: " + says)
        self.bad(3, "call", "--run-dir", self.run_dir, "cgroups-snapshot", says="nobody serves it: " + says)
        conf = self.empty()
        for text, what in (("[service cgroups-snapshot]\n", "[service cgroups-snapshot]"),
                           ("[module org.viaduct.service.cgroups]\n", "[module org.viaduct.service.cgroups]")):
            with open(conf, "w") as f:
                f.write(text)
            self.bad(6, "--check", "-c", conf, program=VIADUCTD, says="empty.conf:1: %s: %s" % (what, says))


class Configuration(Case):
    def check(self, text, *args):
        conf = os.path.join(self.dir, "d.conf")
        with open(conf, "w") as f:
            f.write(text)
        return self.run_program(VIADUCTD, "--check", "-c", conf, *args)

    def test_valid(self):
        rc, out, err = self.check("[service increment]\n[module org.viaduct.%s]\n" % host.BASELINE)
        self.assertEqual((rc, err), (0, ""))
        self.assertIn(b"the configuration is valid: 1 files read, %d services" % len(SERVICES), out)

    def test_faults_have_file_line_and_nearest_name(self):
        conf = host.path(os.path.join(self.dir, "d.conf"))
        for text, says in (("[daemon]\n\nworker = 1\n", conf + ':3: unknown key "worker" in [daemon]; did you mean "workers"?'),
                           ("[servise x]\n", conf + ":1: unknown section [servise]; did you mean [service]?"),
                           ("[daemon]\nworkers = many\n", conf + ':2: workers: expected a number of 1..64, found "many"'),
                           ("[daemon]\npool = 1\npool = 2\n", conf + ":3: key pool again"),
                           ("[daemon\n", conf + ":1:8: expected ']'")):
            rc, out, err = self.check(text)
            self.assertEqual((rc, out), (2, b""))
            self.assertEqual(err.count("\n"), 1, err)
            self.assertTrue(err.startswith("viaductd: " + says), err)

    def test_drop_ins_come_in_the_order_of_their_names(self):
        drop = os.path.join(self.dir, "d.conf.d")
        os.mkdir(drop)
        for name, text in (("20-b.conf", "[daemon]\nserve = all\n"), ("10-a.conf", "[daemon]\nserve = listed\n"),
                           ("30-c.conf~", "[nonsense\n"), (".40.conf", "[nonsense\n")):
            with open(os.path.join(drop, name), "w") as f:
                f.write(text)
        rc, out, err = self.check("")
        self.assertEqual((rc, err), (0, ""))
        self.assertIn(b"3 files read, %d services" % len(SERVICES), out)
        os.rename(os.path.join(drop, "20-b.conf"), os.path.join(drop, "05-b.conf"))
        self.assertIn(b"3 files read, 0 services", self.check("")[1])
        with open(os.path.join(drop, "99-z.conf"), "w") as f:
            f.write("[daemon]\nx = 1\n")
        rc, out, err = self.check("")
        self.assertEqual(rc, 2)
        self.assertRegex(err, r"d\.conf\.d[/\\]99-z\.conf:2: unknown key")

    def test_names_that_no_module_has(self):
        rc, out, err = self.check("\n[service nosuch]\n[module org.nosuch]\n")
        self.assertEqual((rc, out), (6, b""))
        self.assertIn("d.conf:2: [service nosuch]:", err)
        self.assertIn("d.conf:3: [module org.nosuch]: no usable module file", err)

    def test_a_refused_module_is_named_with_its_reason(self):
        self.own_modules()
        os.chmod(os.path.join(self.modules, "service-increment" + host.MODULE), 0o777)
        rc, out, err = self.check("[service increment]\n")
        self.assertEqual(rc, 6)
        self.assertRegex(err, r"service-increment\.(so|dll).*" + host.WRITABLE)

    def test_nothing_to_serve(self):
        self.modules = os.path.join(self.dir, "none")
        rc, out, err = self.run_program(VIADUCTD, "-c", self.empty(), "--run-dir", self.run_dir)
        self.assertEqual(rc, 6)
        self.assertIn("nothing to serve", err)
        self.assertFalse(os.path.exists(self.run_dir))

    @posix_only("linux")
    def test_a_key_that_the_module_refuses_is_named_in_the_log(self):
        p, _ = self.daemon("[module org.viaduct.service.cgroups]\nno_such_key = 1\n")
        rc, out, err = self.call("cgroups-snapshot")
        self.assertEqual((rc, out), (1, b""))
        self.assertIn("INTERNAL_ERROR", err)
        rc, out, err = self.stop(p)
        self.assertEqual(rc, 0)
        self.assertRegex(err, r"error: .*no_such_key")

    @posix_only("linux")
    @needs_cgroups
    def test_the_configuration_reaches_the_module(self):
        p, _ = self.daemon("[module org.viaduct.service.cgroups]\nmax_cgroups = 20000\n")
        self.assertEqual(self.call("cgroups-snapshot")[0], 0)
        self.assertEqual(self.stop(p)[0], 0)


@posix_only("shell")
class Demo(Case):
    @needs_cgroups
    def test_it_ends_well(self):
        p = subprocess.run(["sh", os.path.join(SOURCE, "scripts", "demo.sh"), BUILD], capture_output=True,
                           timeout=DEADLINE, env=self.env(TMPDIR=self.dir))
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertEqual(os.listdir(self.dir), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
