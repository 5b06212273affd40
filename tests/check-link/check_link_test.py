#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_link_test.py CLASS... - the program check-link from outside, over modules that are broken in one way each.

VIADUCT_BUILD names the build directory, VIADUCT_BROKEN the directory of those modules, VIADUCT_CONFORM the test
program of the same suite. Nothing waits without a deadline, and nothing sleeps.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import host
from host import posix_only

BUILD = pathlib.Path(os.environ["VIADUCT_BUILD"])
BROKEN = pathlib.Path(os.environ["VIADUCT_BROKEN"])
MODULES = BUILD / "lib" / "viaduct" / "1"
PROGRAM = BUILD / "libexec" / "viaduct" / "check-link"
DEADLINE = 120


def module(name, where=MODULES):
    return where / (name + host.MODULE)


class Case(unittest.TestCase):
    def run_it(self, *args):
        p = subprocess.run(host.command(PROGRAM, *args), stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=DEADLINE)
        return p.returncode, p.stdout.decode().replace("\r", ""), p.stderr.decode().replace("\r", "")

    def stacks(self, *args):
        """What --list names, as {stack: [case]}."""
        status, out, err = self.run_it(*args, "--list")
        self.assertEqual((status, err), (0, ""))
        found = {}
        for line in out.splitlines():
            stack, case = line.split(": ")
            found.setdefault(stack, []).append(case)
        return found

    def tap(self, text):
        """Results in their order, [(ok, name, directive)], and the diagnostic lines behind each that failed."""
        lines = text.splitlines()
        self.assertEqual(lines[0], "TAP version 13")
        plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
        self.assertTrue(plan, lines[1])
        results, said = [], {}
        for line in lines[2:]:
            m = re.fullmatch(r"(not )?ok (\d+) - (\S+: \S+)(?: # SKIP (.+))?", line)
            if m:
                results.append((m[1] is None, m[3], m[4]))
                self.assertEqual(int(m[2]), len(results))
            else:
                self.assertTrue(line.startswith("# "), line)
                said.setdefault(results[-1][1], []).append(line[2:])
        self.assertEqual(len(results), int(plan[1]))
        return results, said


class Broken(Case):
    def finds(self, flaw, case, *says, more=()):
        """That case fails and says so, with nothing else in the way."""
        status, out, err = self.run_it("--module", module(flaw, BROKEN), "--only", f"loop: {case}", *more)
        results, said = self.tap(out)
        self.assertEqual((status, err), (1, ""), out)
        self.assertEqual(results, [(False, f"loop: {case}", None)])
        for words in says:
            self.assertIn(words, "\n".join(said[f"loop: {case}"]))

    def test_a_record_that_is_lost(self):
        self.finds("loses", "link_records.many_in_flight_both_ways", "tests/link/rig.c:", "99 bytes, expected 100")

    def test_a_record_that_is_cut(self):
        self.finds("truncates", "link_records.whole_and_in_order", "record 0: 0 bytes, expected 1")

    def test_an_end_that_is_not_reported(self):
        self.finds("deaf", "link_ending.close_lets_the_peer_drain", "expected an end within 2 s, found none",
                   more=("--seconds", "2"))

    def test_a_descriptor_that_is_left(self):
        self.finds("leaks_descriptor", "link_ending.facts_are_constant", "descriptors,", "before")

    def test_memory_that_is_left(self):
        self.finds("leaks_memory", "link_ending.facts_are_constant", "2 allocations are left")

    def test_memory_that_is_left_when_something_fails(self):
        status, out, _ = self.run_it("--module", module("leaks_later", BROKEN), "--only", "loop: link_ending.facts*")
        self.assertEqual(status, 0, out)
        self.finds("leaks_later", "link_faults.every_allocation", "1 allocations are left")

    def test_a_crash(self):
        self.finds("crashes", "link_waiting.a_record_wakes",
                   "crashed: " + ("abort()" if host.WINDOWS else "SIGABRT"))

    def test_what_a_module_prints_is_no_result(self):
        self.finds("chatty", "link_records.whole_and_in_order", "ok 1 - forged", "1..0", "Bail out!")

    def test_others_pass(self):
        status, out, err = self.run_it("--module", module("crashes", BROKEN), "--only", "loop: link_address.a_*")
        results, _ = self.tap(out)
        self.assertEqual((status, err), (1, ""))
        self.assertIn((True, "loop: link_address.a_service_needs_a_name", None), results)
        self.assertIn((False, "loop: link_address.a_name_has_one_owner", None), results)


class Plan(Case):
    def test_a_baseline(self):
        self.assertEqual(list(self.stacks("--module", module("loop"))), ["loop", "fault+loop"])

    def test_a_decorator(self):
        self.assertEqual(list(self.stacks("--module", module("fault"))), [f"fault+{host.BASELINE}"])

    def test_an_upgrade_with_each_of_its_profiles(self):
        name = "winshm" if host.WINDOWS else "posixshm"
        b = host.BASELINE
        found = self.stacks("--module", module(name))
        self.assertEqual(list(found), [f"{b}>{name}:0x2", f"{b}>{name}:0x4", f"fault+{b}>fault+{name}:0x2"])
        self.assertFalse([c for cases in found.values() for c in cases if c.startswith("link_address.")],
                         "an upgrade has no address")

    def test_the_file_counts_not_its_namesake(self):
        with tempfile.TemporaryDirectory() as d:
            copy = pathlib.Path(d) / ("ein Übertragungsweg" + host.MODULE)
            shutil.copy(module("crashes", BROKEN), copy)
            status, out, _ = self.run_it("--module", copy, "--only", "loop: link_waiting.a_record_wakes")
        self.assertEqual(status, 1, out)

    def test_the_best_baseline_of_the_directory(self):
        with tempfile.TemporaryDirectory() as d:
            shutil.copy(module("loop"), d)
            self.assertEqual(list(self.stacks("--module", module("fault"), "--baseline-dir", d)), ["fault+loop"])
            self.assertEqual(list(self.stacks("--module", module("loop"), "--baseline-dir", d)), ["loop"])
            shutil.copy(module(host.BASELINE), d)
            self.assertEqual(list(self.stacks("--module", module("fault"), "--baseline-dir", d)),
                             [f"fault+{host.BASELINE}"])
            none = pathlib.Path(d) / "none"
            dirs = (";" if host.WINDOWS else ":").join(host.path(p) for p in (none, d))
            self.assertEqual(list(self.stacks("--module", module("loop"), "--baseline-dir", dirs)), ["loop"])

    def test_the_suite_is_that_of_our_own_tests(self):
        p = subprocess.run(host.command(pathlib.Path(os.environ["VIADUCT_CONFORM"]).with_suffix(""), "--list"),
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=True)
        ours, suite = [], None
        for line in p.stdout.decode().splitlines():
            m = re.match(r"(\w+): \d+ tests?", line)
            if m:
                suite = m[1]
            m = re.match(r"(?:\|-- |`-- |[├└]── ?)(\w+)", line)
            if m:
                ours.append(f"{suite}.{m[1]}")
        self.assertGreater(len(ours), 50, p.stdout)
        self.assertEqual(sorted(self.stacks("--module", module("loop"))["loop"]), sorted(ours))

    def test_skips_say_why(self):
        status, out, _ = self.run_it("--module", module("loop"), "--only", "loop: *where_there_are_none")
        self.assertEqual(status, 0)
        self.assertEqual(self.tap(out)[0], [
            (True, "loop: link_records.handles_are_refused_where_there_are_none", "carries handles")])


class Usage(Case):
    def refuses(self, *args, says):
        status, out, err = self.run_it(*args)
        self.assertEqual(status, 2, err)
        self.assertRegex(out + err, r"\A(check-link:|Bail out!) [^\n]+\n\Z")
        self.assertEqual(out.startswith("Bail"), err == "")
        for words in [says] if isinstance(says, str) else says:
            self.assertIn(words, out + err)

    def test_options(self):
        loop = module("loop")
        self.refuses(says="expected --module FILE")
        self.refuses("--module", says="needs a value")
        self.refuses("--modul", loop, says="did you mean --module")
        self.refuses("--module", loop, "more", says="expected options only")
        self.refuses("--module", loop, "--only", "nothing.*", says='found "nothing.*"')
        for seconds in ("0", "-1", "x", "1x", "nan", "1e9", ""):
            self.refuses("--module", loop, "--seconds", seconds, says="--seconds: expected a number")
        status, out, err = self.run_it("--help")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("--baseline-dir DIRS", out)

    def test_files(self):
        with tempfile.TemporaryDirectory() as d:
            text = pathlib.Path(d) / ("text" + host.MODULE)
            text.write_text("no module\n" * 100)
            self.refuses("--module", text, says="expected a module: ")
            self.refuses("--module", d, says="expected a module: ")
            self.refuses("--module", pathlib.Path(d) / "none", says="expected a module: ")
            self.refuses("--module", module("codec-increment"),
                         says="expected a transport, found codec org.viaduct.increment")
            self.refuses("--module", module("fault"), "--baseline-dir", d, says="expected a baseline for fault")
            self.refuses("--module", module("loop"), "--baseline-dir", pathlib.Path(d) / "none",
                         says="expected a directory of modules: ")

    def test_modules_that_do_not_load(self):
        self.refuses("--module", module("no_entry", BROKEN), says="expected the symbol viaduct_module_v1, found none")
        self.refuses("--module", module("no_return", BROKEN), says="expected a module that loads, found "
                     + ("abort()" if host.WINDOWS else "SIGABRT"))
        self.refuses("--module", module("empty", BROKEN), says="expected probe(), found none")


@posix_only("signals")
class Tidy(Case):
    """Nothing is left behind: no directory, no process."""

    @staticmethod
    def left(pid):
        mark = f"/tmp/viaduct-check-{pid}-"
        found = [str(p) for p in pathlib.Path("/tmp").glob(f"viaduct-check-{pid}-*")]
        for p in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if mark in p.read_bytes().decode(errors="replace"):
                    found.append(str(p))
            except OSError:
                pass  # it has just ended
        return found

    def start(self, *args):
        p = subprocess.Popen(host.command(PROGRAM, *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        self.addCleanup(p.communicate)
        self.addCleanup(p.kill)
        return p

    def test_after_a_crash_and_a_timeout(self):
        for flaw, only in (("crashes", "loop: link_waiting.a_record_wakes"), ("deaf", "loop: link_ending.last_words*")):
            p = self.start("--module", module(flaw, BROKEN), "--only", only, "--seconds", "2")
            out, _ = p.communicate(timeout=DEADLINE)
            self.assertEqual((p.returncode, self.left(p.pid)), (1, []), out)

    def test_when_told_to_end(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            p = self.start("--module", module("deaf", BROKEN), "--only", "loop: *wakes*")
            for line in p.stdout:
                if line.startswith(b"ok 6 "):  # the seventh waits for an end
                    break
            p.send_signal(number)
            p.communicate(timeout=DEADLINE)
            self.assertEqual((p.returncode, self.left(p.pid)), (-number, []))

    def test_when_nobody_listens(self):
        p = self.start("--module", module("loop"), "--only", "loop: link_address.*")
        p.stdout.close()
        p.stdout = None
        p.wait(DEADLINE)
        self.assertEqual(self.left(p.pid), [])
        self.assertNotEqual(p.returncode, 0)


if __name__ == "__main__":
    unittest.main()
