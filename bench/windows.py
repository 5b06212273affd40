#!/usr/bin/env python3
"""windows.py [--quick] [--no-floors]: the Windows build under wine, and the ratios between its transports.

Builds the preset mingw, measures every row below once a round, ROUNDS rounds (default 5), and prints the medians and
the ratios as Markdown. Under wine a pipe and an event cost what wine's server makes of them, so the figures say
nothing about Windows itself; memory that two processes share is the same there. Only from a complete run it writes
bench/WINE.md; otherwise it says what is missing and leaves the old one alone.

--quick      one short round; prints the report, writes nothing
--no-floors  a ratio that misses its floor is reported, but is no failure

Exit status: 0 done; 1 a row is missing or a floor was not met; 2 wrong usage.
"""
import argparse
import csv
import io
import os
import statistics
import sys

sys.dont_write_bytecode = True

import machine  # noqa: E402
import matrix  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402

BUILD = run.ROOT / "build/mingw"
REPORT = run.BENCH / "WINE.md"
SECONDS, QUICK_SECONDS = 0.5, 0.2
HYBRID, BUSY = ("winshm", "--profiles", "0x2"), ("winshm", "--profiles", "0x4")

# name: scenario and what follows it on the command line
ROWS = {
    "ping-pong/pipe": ("ping-pong", "pipe"),
    "ping-pong/winshm": ("ping-pong", *HYBRID),
    "ping-pong/winshm, busy-wait": ("ping-pong", *BUSY),
    "ping-pong/loop": ("ping-pong", "loop"),
    "ping-pong/pipe/one CPU": ("ping-pong", "pipe", "--one-cpu"),
    "ping-pong/winshm/one CPU": ("ping-pong", *HYBRID, "--one-cpu"),
    "pipeline/pipe/1": ("pipeline", "pipe", "--depth", "1"),
    "pipeline/pipe/16": ("pipeline", "pipe", "--depth", "16"),
    "pipeline/loop/16": ("pipeline", "loop", "--depth", "16"),
    "batch/pipe/2..1000": ("batch", "pipe"),
    "batch/winshm/2..1000": ("batch", *HYBRID),
    "snapshot/pipe/16": ("snapshot", "pipe"),
    "snapshot/winshm/16": ("snapshot", *HYBRID),
    "payload/pipe/1 MiB": ("payload", "pipe", "--bytes", "1M"),
    "payload/winshm/1 MiB": ("payload", *HYBRID, "--bytes", "1M"),
    "connect/pipe": ("connect", "pipe"),
    "connect/winshm": ("connect", *HYBRID),
    "load/winshm": ("load", *HYBRID),
}
UNPINNED = ("connect", "load")

# text, rate of one row by that of another, floor
TARGETS = (
    ("winshm ping-pong / pipe ping-pong, rate", "ping-pong/winshm", "ping-pong/pipe", 50),
    ("winshm ping-pong, busy-wait / hybrid, rate", "ping-pong/winshm, busy-wait", "ping-pong/winshm", 1),
    ("pipe pipeline of 16 / pipe ping-pong, rate", "pipeline/pipe/16", "ping-pong/pipe", 4),
)


def build():
    run.call(["cmake", "--preset", "mingw"], 300)
    run.call(["cmake", "--build", "--preset", "mingw", "--target", "viaduct_programs"], 900)
    run.call([run.ROOT / "scripts/wine.sh", "up", BUILD / "wine"], 300)
    os.environ.update(WINEPREFIX=str(BUILD / "wine"), WINEDEBUG="-all")
    os.environ.pop("DISPLAY", None)


def measure(name, seconds):
    scenario, *args = ROWS[name]
    pin = [] if scenario in UNPINNED or "--one-cpu" in args else ["--pin"]
    out = run.call(["wine", BUILD / "bin/viaduct.exe", "bench", "--csv", "--seconds", f"{seconds:g}", *pin, "--scenario",
                    scenario, *args])
    line = run.parse(next(csv.DictReader(io.StringIO(out))))
    if line["ops"] < 1 or line["verified"] < line["ops"]:
        raise run.Failed(f"{line['ops']:.0f} operations, {line['verified']:.0f} answers verified")
    return line


def run_round(number, seconds, missing):
    results = {}
    for name in ROWS:
        try:
            results[name] = measure(name, seconds)
        except run.Failed as failure:
            missing.append(f"round {number}, {name}: {failure}")
    print(f"round {number}: {len(results)} rows", file=sys.stderr)
    return results


# -- report --------------------------------------------------------------------------------------------------


def ratios(rounds):
    """Text, ratio in each round, their median, floor."""
    for text, ours, theirs, floor in TARGETS:
        values = [r[ours]["ops_per_s"] / r[theirs]["ops_per_s"] for r in rounds]
        yield text, values, statistics.median(values), floor


def row_line(rounds, name):
    cells = [name, report.per_second(report.median(rounds, name, "ops_per_s"))]
    cells += [report.duration(report.median(rounds, name, c)) for c in ("p50_ns", "p99_ns")]
    cells.append(report.duration(max(r[name]["max_ns"] for r in rounds)))
    cells.append(report.number(statistics.median(matrix.cpu_per_call(r[name]) for r in rounds) * 1e6))
    return f"| {' | '.join(cells)} |"


def text_of(facts, rounds):
    lines = ["# Results of the Windows build under wine", "",
             "Written by `make bench-windows` from a complete run; do not edit. Client and server are two wine processes,",
             "each on a CPU of its own unless a row says otherwise (`connect` and `load` are not pinned, `loop` is one process).",
             "Every answer was verified. Medians over the rounds, max is the highest of all. A pipe and an event cost what",
             "wine's server makes of them: the ratios hold under wine, and nothing here was measured on Windows.", "",
             "## Machine", "", "| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in facts), "",
             "## Targets", "", "| | measured | rounds | floor | |", "|---|--:|--:|--:|---|"]
    for text, values, middle, floor in ratios(rounds):
        lines.append(f"| {text} | {report.number(middle)} | {report.number(min(values))} to {report.number(max(values))} "
                     f"| ≥ {report.number(floor)} | {'floor met' if middle >= floor else '**not met**'} |")
    lines += ["", "## Rows", "", "| | operations/s | p50 | p99 | max | CPU µs/operation |", "|---|--:|--:|--:|--:|--:|",
              *(row_line(rounds, name) for name in ROWS)]
    return "\n".join(lines) + "\n"


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0],
                                     epilog="ROUNDS in the environment: how many rounds, 5 without it.")
    parser.add_argument("--quick", action="store_true", help="one short round, printed, nothing is written")
    parser.add_argument("--no-floors", action="store_true", help="missing a floor is no failure")
    args = parser.parse_args()
    args.rounds = int(os.environ.get("ROUNDS", "5")) if not args.quick else 1
    if args.rounds < 1:
        parser.error("ROUNDS: expected at least 1")
    return args


def main():
    args = options()
    missing = []
    try:
        build()
        facts = [*machine.facts(run.ROOT, run.call), ("wine", run.call(["wine", "--version"]).strip()),
                 ("rounds", args.rounds)]
    except run.Failed as failure:
        print(f"windows.py: {failure}", file=sys.stderr)
        return 1
    rounds = [run_round(n + 1, QUICK_SECONDS if args.quick else SECONDS, missing) for n in range(args.rounds)]
    if missing:
        print("windows.py: the run is not complete, no report is written. What is missing:", *missing, sep="\n  ",
              file=sys.stderr)
        return 1
    text = text_of(facts, rounds)
    if args.quick:
        print(text, end="")
    else:
        REPORT.write_text(text, encoding="utf-8")
        print(f"wrote {REPORT.relative_to(run.ROOT)}", file=sys.stderr)
    below = [f"{t}: {report.number(m)}, expected >= {report.number(f)}" for t, _, m, f in ratios(rounds) if m < f]
    for line in below:
        print(f"windows.py: floor not met: {line}", file=sys.stderr)
    return 1 if below and not args.no_floors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("windows.py: interrupted, nothing was written")
