#!/usr/bin/env python3
"""test_run.py: run.py writes a report from a complete run only. Nothing is built or measured here."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True

import machine  # noqa: E402
import matrix  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402

BUILD_WORDS = {"gcc": "gcc-1 modules", "clang": "clang-1 modules", "builtin": "gcc-1 builtin"}


def line_of(row, name):
    """What a program prints for a row, as CSV columns. Every operation takes 1 us."""
    given = dict.fromkeys(report.COLUMNS, "1000")
    parts = name.split("/")
    given.update(scenario=parts[0], transport=parts[1], policy="balanced", rate="max", pin="pin", depth="",
                 items="", bytes=parts[1] if parts[0] == "memcpy" else "", client_build=BUILD_WORDS[row.client],
                 server_build=BUILD_WORDS[row.server], profile="0x1", ops_per_s="1000000", units_per_s="1000000")
    return given


def csv_of(row, **changes):
    lines = [{**line_of(row, name), **changes} for name in (row.name, *row.also)]
    return "\n".join([",".join(report.COLUMNS), *(",".join(x[c] for c in report.COLUMNS) for x in lines)]) + "\n"


IDLE = {f"idle/{t}": {"transport": t, "sessions": 100, "seconds": 5, "server": 0, "client": 0, "wakeups_per_s": 0}
        for t in matrix.TRANSPORTS}
ONCE = {"idle_kib": 500, "scan_ms": [100, 2.0, 0.4], "text_bytes": 180000}


class Run(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        root = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.bench = root / "bench"
        (self.bench / "plots").mkdir(parents=True)
        (root / "build").mkdir()
        for name in ("RESULTS.md", "results.csv", "plots/old.svg"):
            (self.bench / name).write_text("old", encoding="utf-8")
        self.plots = []
        self.answers = {}  # changes of a row's line, or what it fails with
        for target, name, value in ((run, "ROOT", root), (run, "BENCH", self.bench), (run, "call", self.call),
                                    (run, "command_of", lambda row, seconds: ["row", row]),
                                    (run, "build_all", lambda names: None),
                                    (run, "idle", lambda seconds, missing: IDLE),
                                    (run, "measure_once", lambda missing: ONCE),
                                    (machine, "facts", lambda root, call: [("processor", "none")])):
            self.stack.enter_context(mock.patch.object(target, name, value))

    def call(self, command, timeout=0):
        del timeout
        if command[0] == "gnuplot":
            if self.plots is None:
                raise run.Failed("gnuplot: broken")
            self.plots.append(pathlib.Path(command[1]).read_text(encoding="utf-8"))
            return ""
        answer = self.answers.get(command[1].name, {})
        if isinstance(answer, run.Failed):
            raise answer
        return csv_of(command[1], **answer)

    def main(self, *args):
        """Exit status, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        with mock.patch.object(sys, "argv", ["run.py", *args]), mock.patch.dict("os.environ", ROUNDS="2"), \
                contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run.main()
        return status, out.getvalue(), err.getvalue()

    def assert_old_report(self):
        for name in ("RESULTS.md", "results.csv", "plots/old.svg"):
            self.assertEqual((self.bench / name).read_text(encoding="utf-8"), "old", name)

    def test_a_complete_run_is_written(self):
        status, _, err = self.main("--no-floors")
        self.assertEqual(status, 0, err)
        text = (self.bench / "RESULTS.md").read_text(encoding="utf-8")
        for target in matrix.targets():
            self.assertIn(f"| {target.text} |", text)
        rows = sum(1 + len(row.also) for row in matrix.rows(False))
        self.assertEqual(len((self.bench / "results.csv").read_text(encoding="utf-8").splitlines()), 1 + 2 * rows)
        self.assertEqual(len(self.plots), len(report.PLOTS))
        self.assertFalse((self.bench / "plots/old.svg").exists())

    def test_every_row_is_in_a_table_of_the_report(self):
        rounds, _, missing = run.measure_all(matrix.rows(False), 1, False)
        self.assertEqual(missing, [])
        shown = [n for _, _, names in report.sections(rounds) for n in names]
        pairs = [n for n in rounds[0] if report.is_pair(n)]
        self.assertEqual(sorted(shown + pairs), sorted(n for n in rounds[0] if not n.startswith("idle/")))

    def test_missing_a_floor_fails_the_run_but_not_the_report(self):
        status, _, err = self.main()  # everything is equally fast here
        self.assertEqual(status, 1)
        self.assertIn("floor not met: ring ping-pong / nng ipc, rate: 1.00, expected >= 300", err)
        self.assertIn("**not met**", (self.bench / "RESULTS.md").read_text(encoding="utf-8"))

    def test_a_row_that_fails_is_named_and_nothing_is_written(self):
        self.answers["pipeline/ring/16"] = run.Failed("the counter chain is broken")
        status, _, err = self.main("--no-floors")
        self.assertEqual(status, 1)
        self.assertIn("pipeline/ring/16: the counter chain is broken", err)
        self.assert_old_report()

    def test_answers_that_were_not_verified_fail(self):
        self.answers["ping-pong/nng-ipc"] = {"verified": "999"}
        self.assertEqual(self.main("--no-floors")[0], 1)
        self.assert_old_report()

    def test_another_build_than_the_one_meant_fails(self):
        self.answers["ping-pong/ring/gcc to clang"] = {"server_build": "gcc-1 modules"}
        status, _, err = self.main("--no-floors")
        self.assertEqual(status, 1)
        self.assertIn("server: expected clang with modules, found gcc-1 modules", err)
        self.assert_old_report()

    def test_a_plot_that_fails_leaves_the_old_report(self):
        self.plots = None
        status, _, err = self.main("--no-floors")
        self.assertEqual(status, 1)
        self.assertIn("gnuplot: broken", err)
        self.assert_old_report()

    def test_a_quick_run_prints_and_writes_nothing(self):
        status, out, err = self.main("--quick", "--no-floors")
        self.assertEqual(status, 0, err)
        self.assertIn("# Results", out)
        self.assert_old_report()

    def test_only_some_rows(self):
        status, out, _ = self.main("--only", "ping-pong/nng-ipc/one-cpu")
        self.assertEqual(status, 0)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertEqual(self.main("--only", "no such row")[0], 1)
        self.assert_old_report()


class Targets(unittest.TestCase):
    def test_median_floor_and_goal(self):
        rounds = [{"a": {"v": v}} for v in (1, 5, 3)]
        for is_upper, floor, goal, expected in ((True, 3, 2, (True, False)), (True, 2, 1, (False, False)),
                                                (True, 4, 3, (True, True)), (False, 3, 4, (True, False)),
                                                (False, 4, 5, (False, False)), (False, 2, 3, (True, True))):
            target = matrix.Target("", lambda r: r["a"]["v"], is_upper, floor, goal)
            self.assertEqual(report.judge(target, rounds)[1:], (3, *expected))

    def test_both_parts_of_a_goal_count(self):
        rounds = [{"a": 1}]
        for latency, has_goal in ((0.9, True), (1.1, False)):
            target = matrix.Target("", lambda r: r["a"], True, 1.2, 1, and_goal=lambda r, v=latency: v)
            self.assertEqual(report.judge(target, rounds)[2:], (True, has_goal))

    def test_rows_of_targets_exist(self):
        names = {n for row in matrix.rows(False) for n in (row.name, *row.also)} | IDLE.keys()
        for target in matrix.targets():
            self.assertTrue(target.rows)
            self.assertEqual(set(target.rows) - names, set(), target.text)

    def test_names_are_unique(self):
        names = [n for row in matrix.rows(False) for n in (row.name, *row.also)]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
