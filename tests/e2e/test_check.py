# SPDX-License-Identifier: Apache-2.0
"""`viaduct check` on modules that are sound, and on modules that are wrong in one way: exactly that is found, and the
report comes to its end."""

import json
import os
import pathlib
import shutil
import signal
import tempfile
import time
import unittest

import peer
from peer import host

BROKEN = pathlib.Path(os.environ["VIADUCT_BROKEN"])
NAME = "codec-broken" + host.MODULE
CRASH = "exception 0xc0000005" if host.WINDOWS else "signal 11"
GROUPS = "identity trust symbols abi lifecycle unload transport codec service".split()
LOADED = GROUPS[4:]


def check(path, *args, **kw):
    """Exit status and the report as {(group, name): (verdict, text)}."""
    status, out, err = peer.run("viaduct", "check", "--json", *args, path, timeout=4 * peer.DEADLINE, **kw)
    if status not in (0, 1):
        return status, err
    report = json.loads(out)
    found = {(c["group"], c["name"]): (c["verdict"], c["text"]) for c in report["checks"]}
    for verdict in "passed", "failed", "skipped":
        n = sum(c["verdict"] == verdict for c in report["checks"])
        assert report[verdict] == n, (verdict, report)
    assert status == (1 if report["failed"] else 0), report
    return status, found


class Check(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        dir = tempfile.TemporaryDirectory()
        self.addCleanup(dir.cleanup)
        self.dir = pathlib.Path(dir.name).resolve()

    def wrong(self, variant, *args):
        """What fails of a variant: {"group name": text}."""
        status, found = check(BROKEN / variant / NAME, *args)
        return {f"{g} {n}": text for (g, n), (verdict, text) in found.items() if verdict == "failed"}

    def expect(self, variant, expected, *args):
        """Exactly these fail, each with these words in its sentence."""
        found = self.wrong(variant, *args)
        self.assertEqual(sorted(found), sorted(expected), found)
        for name, words in expected.items():
            self.assertIn(words, found[name])

    # -- sound ------------------------------------------------------------------------------------------

    def test_a_sound_module(self):
        status, found = check(BROKEN / "SOUND" / NAME)
        self.assertEqual(status, 0, found)
        self.assertEqual({g for g, _ in found}, set(GROUPS))
        skipped = {key for key, (verdict, _) in found.items() if verdict == "skipped"}
        self.assertEqual(skipped, {("transport", "all")})
        for key in ("identity", "text"), ("lifecycle", "allocations"), ("unload", "code"), ("codec", "truncated request"), ("service", "served"):
            self.assertEqual(found[key][0], "passed")

    def test_for_people(self):
        path = BROKEN / "SOUND" / NAME
        head = f"{host.path(path)}: org.test.broken 1.0.0"
        status, out, err = peer.run("viaduct", "check", "--only", "identity", "--only", "trust", "--only", "transport", path)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual([" ".join(line.split()) for line in out.splitlines()],
                         [head, "", "passed identity 3 checks", "passed trust 1 check", "", "4 passed, 0 failed, 1 skipped"])
        status, out, err = peer.run("viaduct", "check", "--verbose", "--only", "identity", "--only", "trust", path)
        self.assertEqual(status, 0, err)
        lines = out.splitlines()
        self.assertEqual(lines[:3], [head, "", "identity"])
        self.assertRegex(lines[3], r"^  passed   text +org\.test\.broken 1\.0\.0 provides codec org\.test\.broken/1, service org\.test\.broken/1$")
        self.assertEqual(lines[-1], "4 passed, 0 failed, 0 skipped")

    def test_for_people_what_fails_has_a_line(self):
        status, out, _ = peer.run("viaduct", "check", "--only", "symbols", BROKEN / "EXPORT" / NAME)
        self.assertEqual(status, 1)
        self.assertRegex(out, r"\n  failed   symbols exports +expected viaduct_module_v1 and nothing else, found it and broken_second_export\n"
                              r"  passed   symbols +4 checks\n")

    def test_only(self):
        _, found = check(BROKEN / "SOUND" / NAME, "--only", "unload", "--only", "symbols")
        self.assertEqual({g for g, _ in found}, {"symbols", "unload"})

    # -- usage --------------------------------------------------------------------------------------------

    def test_usage(self):
        for args, why in (((), "expected a FILE"), (("a", "b"), "one more: 'b'"), (("--only", "trsut", "a"), "did you mean 'trust'"), (("--timeout", "5", "a"), "unit")):
            status, out, err = peer.run("viaduct", "check", *args)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(why, err)

    def test_a_file_that_cannot_be_read(self):
        for path in self.dir / "none.so", self.dir:
            status, err = check(path)
            self.assertEqual(status, 6, err)
            self.assertIn(path.name, err)

    @host.posix_only("unix")
    def test_what_is_no_file_is_not_waited_for(self):
        os.mkfifo(self.dir / "pipe.so")
        for path, what in (self.dir / "pipe.so", "a pipe"), ("/dev/zero", "a device"):
            status, err = check(path)
            self.assertEqual(status, 6)
            self.assertIn(f"expected a regular file, found {what}", err)

    # -- the file -----------------------------------------------------------------------------------------

    def spoilt(self, data, name=NAME):
        path = self.dir / name
        path.write_bytes(data)
        status, found = check(path)
        self.assertEqual(status, 1)
        for group in GROUPS[3:]:
            self.assertEqual(found[group, "all"][0], "skipped")
        return found

    def test_damaged_files(self):
        sound = (BROKEN / "SOUND" / NAME).read_bytes()
        self.assertEqual(self.spoilt(b"")["identity", "text"][0], "failed")
        self.assertIn("expected", self.spoilt(b"no module at all")["symbols", "format"][1])
        for length in 3, 60, 1000:
            found = self.spoilt(sound[:length])
            self.assertEqual(found["identity", "text"][0], "failed")
        (self.dir / NAME).write_bytes(sound[: len(sound) // 2])  # that of a DLL may be in this half
        self.assertEqual(check(self.dir / NAME)[0], 1)
        other = sound.replace(b"viaduct-module\0abi=1\0", b"viaduct-module\0abi=7\0")
        self.assertIn("ABI 7", self.spoilt(other)["identity", "text"][1])

    def test_every_byte_of_the_headers(self):
        """The reader of symbols meets any bytes."""
        sound = bytearray((BROKEN / "SOUND" / NAME).read_bytes())
        for at in range(0, 64, 7):
            data = bytearray(sound)
            data[at] ^= 0xff
            (self.dir / NAME).write_bytes(data)
            status, found = check(self.dir / NAME, "--only", "symbols")
            self.assertIn(status, (0, 1), found)

    def test_names(self):
        sound = (BROKEN / "SOUND" / NAME).read_bytes()
        for name, why in (("broken" + host.MODULE, "expected codec-NAME"), ("service-broken" + host.MODULE, "expected codec-NAME"), ("codec-broken.txt", "expected a name ending in")):
            (self.dir / name).write_bytes(sound)
            status, found = check(self.dir / name, "--only", "identity")
            self.assertEqual(found["identity", "file-name"][0], "failed")
            self.assertIn(why, found["identity", "file-name"][1])

    def test_an_untrusted_file_is_not_run(self):
        path = self.dir / NAME
        shutil.copy(BROKEN / "CRASH" / NAME, path)
        path.chmod(0o777)
        status, found = check(path)
        self.assertEqual(found["trust", "file"][0], "failed")
        self.assertIn(host.WRITABLE, found["trust", "file"][1])
        self.assertEqual(found["identity", "text"][0], "passed")
        for group in "abi", "lifecycle", "unload", "codec", "service":
            self.assertEqual(found[group, "all"], ("skipped", "not run: the file is not trusted"))

    # -- modules that are wrong -----------------------------------------------------------------------------

    def test_one_that_crashes(self):
        self.expect("CRASH", {"abi load": CRASH})
        self.expect("CRASH", {"lifecycle cycles": CRASH}, "--only", "lifecycle")

    def test_one_that_hangs(self):
        self.expect("HANG", {"abi load": "killed"}, "--timeout", "2s")

    def test_one_that_ends_the_process(self):
        expected = {"abi load": "ended with status 0"}
        if not host.WINDOWS:
            expected["symbols imports"] = "exit"
        self.expect("EXIT", expected)

    def test_one_that_writes_to_standard_output(self):
        found = self.wrong("OUTPUT", "--only", "abi")
        self.assertEqual(list(found), ["abi output"])
        self.assertIn("hello from the module", found["abi output"])
        self.assertIn("symbols imports", self.wrong("OUTPUT", "--only", "symbols"))

    @host.posix_only("linux")  # wine does not count handles
    def test_one_that_leaves_a_descriptor(self):
        self.expect("HANDLE", {"lifecycle left-behind": "descriptors"})

    def test_one_that_leaves_memory(self):
        left = "left behind 1 blocks"
        self.expect("LEAK", {"lifecycle cycles": left, "lifecycle allocations": left, "lifecycle system-calls": left, "lifecycle left-behind": left, "unload unload": left})
        self.expect("LEAK_ON_FAILURE", {"lifecycle allocations": left})

    @host.posix_only("unix")
    def test_one_that_starts_a_thread(self):
        self.expect("THREAD", {"symbols imports": "pthread_create", "lifecycle left-behind": "threads"})

    @host.posix_only("unix")
    def test_one_that_writes_without_end(self):
        found = self.wrong("FLOOD", "--only", "abi", "--timeout", "2s")
        self.assertEqual(sorted(found), ["abi load", "abi output"])
        self.assertIn("killed", found["abi load"])

    @host.posix_only("unix")
    def test_one_that_closes_what_it_reports_through(self):
        found = self.wrong("CLOSES", "--only", "abi")
        self.assertEqual(list(found), ["abi load"])

    @host.posix_only("linux")
    def test_one_that_leaves_a_process(self):
        """It goes with the check, which does not wait for it."""
        copy = self.dir / "tmp"
        copy.mkdir()
        begin = time.monotonic()
        env = peer.environment(TMPDIR=str(copy))
        status, out, err = peer.run("viaduct", "check", "--only", "abi", "--json", BROKEN / "FORK" / NAME, env=env)
        self.assertEqual(status, 0, out + err)
        self.assertLess(time.monotonic() - begin, 10)  # that long a child has for its end
        self.assertEqual(self.processes_of(copy), [])
        self.assertEqual(list(copy.iterdir()), [])

    def processes_of(self, copy):
        """Those whose arguments name something below this directory."""
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if str(copy).encode() in (p / "cmdline").read_bytes():
                    found.append(p.name)
            except OSError:
                pass  # it has ended
        return found

    @host.posix_only("linux")
    def test_being_stopped_leaves_nothing(self):
        copy = self.dir / "tmp"
        copy.mkdir()
        env = peer.environment(TMPDIR=str(copy))
        for path, group, sent in (BROKEN / "HANG" / NAME, "abi", signal.SIGINT), (peer.MODULES / "uds.so", "transport", signal.SIGTERM):
            command = [peer.BIN / "viaduct", "check", "--only", group, path]
            p = peer.subprocess.Popen(command, stdout=peer.subprocess.PIPE, stderr=peer.subprocess.PIPE, text=True, env=env)
            peer.wait_until(lambda: self.processes_of(copy), "a process that runs the module")
            p.send_signal(sent)
            out, err = p.communicate(timeout=peer.DEADLINE)
            self.assertEqual(p.returncode, 1, out + err)
            self.assertEqual(err, "viaduct: check: stopped\n")
            self.assertEqual(self.processes_of(copy), [])
            self.assertEqual(list(copy.iterdir()), [])

    @host.posix_only("linux")
    def test_being_killed_leaves_no_process(self):
        copy = self.dir / "tmp"
        copy.mkdir()
        command = [peer.BIN / "viaduct", "check", "--only", "abi", BROKEN / "HANG" / NAME]
        p = peer.subprocess.Popen(command, stdout=peer.subprocess.PIPE, text=True, env=peer.environment(TMPDIR=str(copy)))
        try:
            peer.wait_until(lambda: self.processes_of(copy), "a process that runs the module")
        finally:
            p.kill()
            p.communicate()
        peer.wait_until(lambda: not self.processes_of(copy), "its end")

    @host.posix_only("unix")
    def test_one_whose_code_stays(self):
        self.expect("NODELETE", {"unload code": "expected its code to be unmapped"})

    def test_one_that_does_not_expect_a_lack_of_memory(self):
        self.expect("UNCHECKED", {"lifecycle allocations": CRASH})

    def test_configuration_that_is_not_refused(self):
        self.expect("ANY_KEY", {"lifecycle unknown-key": "it was accepted"})

    def test_a_descriptor_that_differs(self):
        self.expect("ID", {"abi load": "found org.test.somebody-else"})
        self.expect("NO_FINISH", {"abi load": "member finish is missing"})

    def test_symbols(self):
        self.expect("EXPORT", {"symbols exports": "broken_second_export"})
        self.expect("LIBRARY", {"symbols libraries": "viaduct", "symbols imports": "via_version"})

    def test_a_text_without_a_version(self):
        _, found = check(BROKEN / "VERSION" / NAME, "--only", "identity")
        self.assertEqual(found["identity", "version"][0], "skipped")

    def test_codecs(self):
        self.expect("READS_BEYOND", {"codec truncated request": CRASH})
        self.expect("WRITES_BEYOND", {"codec short-room request": CRASH})
        flaw = "expected VIA_PROTO with a flaw"
        self.expect("NO_FLAW", {f"codec {what} {side}": flaw for what in ("truncated", "noise") for side in ("request", "response")}, "--only", "codec")
        self.expect("LOSES", {f"codec round-trip {side}": "expected the same bytes" for side in ("request", "response")})

    def test_services(self):
        self.expect("SERVICE_WRITES_BEYOND", {"service short-room": CRASH})
        self.expect("ANSWER", {"service answer": "expected an answer that its codec accepts", "service served": "accepts"})

    def test_a_service_whose_codec_is_missing(self):
        name = "service-increment" + host.MODULE
        shutil.copy(peer.MODULES / name, self.dir / name)
        status, found = check(self.dir / name, "--only", "service", "--module-path", self.dir)
        self.assertEqual(status, 0, found)
        self.assertEqual(found["service", "codec increment"][0], "skipped")

    # -- the suite of links ---------------------------------------------------------------------------------

    def links(self, script):
        """The report of group transport with another check-link."""
        status, out, err = self.with_links(script, "--json")
        self.assertIn(status, (0, 1), err)
        return [(c["name"], c["verdict"], c["text"]) for c in json.loads(out)["checks"]]

    def with_links(self, script, *args):
        """Status and output with another check-link: the program stands beside it."""
        for d in "bin", "libexec/viaduct":
            (self.dir / d).mkdir(parents=True, exist_ok=True)
        shutil.copy(peer.BIN / "viaduct", self.dir / "bin/viaduct")
        program = self.dir / "libexec/viaduct/check-link"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        env = peer.environment(LD_LIBRARY_PATH=str(peer.BIN.parent / "lib"))
        command = [self.dir / "bin/viaduct", "check", *args, "--only", "transport", "--timeout", "2s", peer.MODULES / "uds.so"]
        p = peer.subprocess.run(command, capture_output=True, text=True, env=env, timeout=peer.DEADLINE)
        return p.returncode, p.stdout, p.stderr

    @host.posix_only("shell")
    def test_stacks_for_people(self):
        results = "echo 1..5; echo ok 1 - uds: a; echo ok 2 - uds: b '# SKIP no handles'; echo ok 3 - uds: c; echo ok 4 - fault+uds: a; echo not ok 5 - fault+uds: b; exit 1"
        status, out, _ = self.with_links(results)
        self.assertEqual(status, 1)
        self.assertEqual([" ".join(line.split()) for line in out.splitlines()[2:]],
                         ["skipped transport uds: b no handles", "passed transport uds 2 checks",
                          "failed transport fault+uds: b expected to pass, found no reason", "passed transport fault+uds 1 check",
                          "", "3 passed, 1 failed, 1 skipped"])

    @host.posix_only("unix")  # the suite takes long under wine; check_link_test.py tries lists there
    def test_modules_in_several_directories(self):
        """A list of directories reaches the suite of links; without a baseline the reason is in the report."""
        for dirs, verdict in ((self.dir / "none", peer.MODULES), None), ((self.dir,), "expected a baseline for"):
            given = ":".join(map(str, dirs))
            status, found = check(peer.MODULES / "ring.so", "--only", "transport", "--module-path", given)
            if verdict is None:
                self.assertEqual(status, 0, found)
                self.assertGreater(len(found), 50)
            else:
                self.assertIn(verdict, found["transport", "check-link"][1])

    @host.posix_only("shell")
    def test_results_of_the_suite_of_links(self):
        self.assertEqual(self.links('test "$1" = --module && test -f "$2" && echo TAP version 13 && echo 1..2 && echo ok 1 - uds: a && echo ok 2 - uds: b "# SKIP no handles"'),
                         [("uds: a", "passed", "as the contract says"), ("uds: b", "skipped", "no handles")])
        self.assertEqual(self.links("echo 1..1; echo not ok 1 - uds: a; echo '# expected 1'; echo '# found 2'; exit 1"), [("uds: a", "failed", "expected 1; found 2")])

    @host.posix_only("shell")
    def test_a_suite_of_links_that_does_not_end_well(self):
        for script, why in (("echo 1..2; echo ok 1 - a", "expected 2 results, found 1"),
                            ("echo 1..1; echo ok 1 - a; exit 1", "status 1"),
                            ("echo 1..1; echo ok 1 - a; kill -11 $$", "signal 11"),
                            ("echo 1..2; echo ok 1 - a; exec sleep 1000", "killed"),
                            ("exit 2", "status 2")):
            name, verdict, text = self.links(script)[-1]
            self.assertEqual((name, verdict), ("check-link", "failed"))
            self.assertIn(why, text)


if __name__ == "__main__":
    unittest.main()
