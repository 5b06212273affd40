#!/usr/bin/env python3
"""run.py [--quick | --only TEXT] [--no-floors]: runs the benchmarks and writes the report.

Builds the tree three times below build/ (gcc, clang, gcc with the modules linked in) and measures every row of
matrix.py once a round, ROUNDS rounds (default 5). Only from a complete run, every row there and every answer
verified, it writes bench/RESULTS.md, bench/results.csv and bench/plots/; otherwise it says what is missing and
leaves the old report alone.

--quick      one short round of one build, for a look or for CI; prints the report, writes nothing
--only TEXT  the same, with the rows whose name contains TEXT and no others; prints the rows
--no-floors  a target that misses its floor is reported, but is no failure

Exit status: 0 done; 1 a row is missing or a floor was not met; 2 wrong usage.
"""
import argparse
import contextlib
import csv
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import machine  # noqa: E402
import matrix  # noqa: E402
import report  # noqa: E402

ROOT = pathlib.Path(__file__).absolute().parents[1]
BENCH = ROOT / "bench"
SECONDS, QUICK_SECONDS = 0.5, 0.1
IDLE_SESSIONS = 100
PATIENCE = 60
TEXT_COLUMNS = {"scenario", "transport", "policy", "rate", "items", "pin", "client_build", "server_build", "profile"}


class Failed(Exception):
    """A program did not do what it should have done; the text says which and why."""


def end_group(leader):
    """Ends a program and what it started; it may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def call(command, timeout=PATIENCE):
    """Standard output of a program that must end well. Nothing that it started is left behind."""
    shown = " ".join(str(c) for c in command).replace(str(ROOT) + "/", "")
    try:
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
    except OSError as error:
        raise Failed(f"{shown}: {error.strerror}") from None
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            end_group(process.pid)
            raise Failed(f"{shown}: no end after {timeout:.0f} s") from None
        except BaseException:
            end_group(process.pid)
            raise
    if process.returncode != 0:
        said = err.strip() or f"exit status {process.returncode}, and it said nothing"
        raise Failed(f"{shown}: {said}".replace(str(ROOT) + "/", ""))
    return out


# -- builds --------------------------------------------------------------------------------------------------


def build_dir(name):
    return ROOT / "build" / f"bench-{name}"


def build(name, compiler, target, builtin=""):
    directory = build_dir(name)
    print(f"building {directory.relative_to(ROOT)}", file=sys.stderr)
    options = {"CMAKE_BUILD_TYPE": "RelWithDebInfo", "CMAKE_C_COMPILER": compiler, "BUILD_TESTING": "OFF",
               "VIADUCT_BENCH": "ON" if target == "bench_programs" else "OFF", "VIADUCT_BUILTIN": builtin}
    call(["cmake", "-S", ROOT, "-B", directory, "-G", "Ninja", *(f"-D{k}={v}" for k, v in options.items())], 120)
    try:
        call(["cmake", "--build", directory, "--target", target, "-j", os.cpu_count() or 1], 900)
    except Failed as failure:
        raise Failed(f"building {directory.relative_to(ROOT)} failed: {failure}") from None


def build_all(names):
    build("gcc", "gcc", "bench_programs")
    if "clang" in names:
        build("clang", "clang", "viaduct_programs")
    if "builtin" in names:
        modules = sorted(p.stem for p in modules_of("gcc").glob("*.so"))
        build("builtin", "gcc", "viaduct_programs", ";".join(modules))


def modules_of(name):
    return next((build_dir(name) / "lib/viaduct").glob("[0-9]*"))


# -- rows ----------------------------------------------------------------------------------------------------


def command_of(row, seconds):
    program = [build_dir(row.client) / "bin" / row.program]
    args = [*row.args, "--seconds", f"{seconds * row.factor:g}"]
    if row.server != row.client:
        args += ["--server-program", build_dir(row.server) / "bin" / row.program]
    return program + args


def parse(line):
    """One line of CSV: numbers where there are numbers."""
    try:
        return {k: v if k in TEXT_COLUMNS or v == "" else float(v) for k, v in line.items()}
    except (TypeError, ValueError):
        raise Failed(f"not a line of CSV as expected: {line}") from None


def check_build(side, name, found):
    compiler, kind = ("clang" if name == "clang" else "gcc"), ("builtin" if name == "builtin" else "modules")
    if not (found.startswith(compiler) and found.endswith(kind)):
        raise Failed(f"{side}: expected {compiler} with {kind}, found {found}")


def check(row, line):
    if line["ops"] < 1 or line["ops_per_s"] <= 0:
        raise Failed("nothing was measured")
    if line["verified"] < line["ops"]:
        raise Failed(f"{line['ops']:.0f} operations, but only {line['verified']:.0f} answers verified")
    if row.program == "viaduct" and line["scenario"] != "memcpy":
        check_build("client", row.client, line["client_build"])
        check_build("server", row.server, line["server_build"])


def measure(row, seconds):
    """Lines of a row, by name."""
    lines = [parse(x) for x in csv.DictReader(io.StringIO(call(command_of(row, seconds))))]
    names = (row.name, *row.also)
    if len(lines) != len(names):
        raise Failed(f"expected {len(names)} lines, found {len(lines)}")
    for line in lines:
        check(row, line)
    return dict(zip(names, lines))


def run_round(number, rows, seconds, missing):
    results = {}
    for i, row in enumerate(rows):
        if sys.stderr.isatty():
            print(f"\r\033[Kround {number}, row {i + 1} of {len(rows)}: {row.name}", end="", file=sys.stderr)
        try:
            results.update(measure(row, seconds))
        except Failed as failure:
            missing.append(f"{row.name}: {failure}")
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(f"round {number}: {len(results)} rows", file=sys.stderr)
    return results


# -- what is measured once -----------------------------------------------------------------------------------


def idle(seconds, missing):
    """Wake-ups of both sides, as rows."""
    results = {}
    for transport in matrix.TRANSPORTS:
        endpoint = transport if transport == "uds" else f"uds>{transport}"
        with tempfile.TemporaryDirectory() as run_dir:
            try:
                out = call([build_dir("gcc") / "bin/bench_idle", modules_of("gcc"), run_dir, endpoint, IDLE_SESSIONS,
                            seconds])
            except Failed as failure:
                missing.append(f"idle/{transport}: {failure}")
                continue
        *_, server, client = out.strip().split(",")
        results[f"idle/{transport}"] = {"transport": endpoint, "sessions": IDLE_SESSIONS, "seconds": seconds,
                                        "server": int(server), "client": int(client),
                                        "wakeups_per_s": (int(server) + int(client)) / seconds}
    return results


def idle_daemon(run_dir):
    """KiB of private memory of an idle viaductd."""
    with subprocess.Popen([build_dir("gcc") / "bin/viaductd", "--run-dir", run_dir], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as daemon:
        try:
            deadline = time.monotonic() + 10
            while not (pathlib.Path(run_dir) / "increment.sock").exists():
                if daemon.poll() is not None or time.monotonic() > deadline:
                    daemon.kill()
                    raise Failed(f"viaductd does not serve: {daemon.communicate()[1].strip()}")
                time.sleep(0.02)
            text = pathlib.Path(f"/proc/{daemon.pid}/smaps_rollup").read_text(encoding="ascii")
        finally:
            if daemon.poll() is None:
                daemon.terminate()
            daemon.communicate(timeout=PATIENCE)
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


def scan(directory):
    """A registry looks at a directory of 100 module files: ms, and ms for reading the same files."""
    modules = sorted(modules_of("gcc").glob("*.so"))
    for i in range(100):
        shutil.copy(modules[i % len(modules)], pathlib.Path(directory) / f"{i}-{modules[i % len(modules)].name}")
    out = call([build_dir("gcc") / "bin/bench_scan", directory])
    return [float(x) for x in out.strip().split(",")]


def text_size():
    line = call(["size", build_dir("gcc") / "lib/libviaduct.so"]).splitlines()[1]
    return int(line.split()[0])


def measure_once(missing):
    once = {}
    for name, what in (("idle_kib", idle_daemon), ("scan_ms", scan), ("text_bytes", lambda _: text_size())):
        with tempfile.TemporaryDirectory() as directory:
            try:
                once[name] = what(directory)
            except Failed as failure:
                missing.append(f"{name}: {failure}")
    return once


# -- a run ---------------------------------------------------------------------------------------------------


def missing_rows(rounds, rows):
    """Names of rows that a round should have and does not."""
    wanted = {name for row in rows for name in (row.name, *row.also)}
    return sorted({name for results in rounds for name in wanted - results.keys()})


def measure_all(rows, n_rounds, is_quick):
    """Rounds, what is measured once, and what went wrong; ends with the first round that misses a row."""
    missing = []
    fixed = idle(1 if is_quick else 5, missing)
    once = measure_once(missing)
    rounds = []
    while len(rounds) < n_rounds and not missing:
        rounds.append(run_round(len(rounds) + 1, rows, QUICK_SECONDS if is_quick else SECONDS, missing))
    if missing and not rounds:
        rounds.append(run_round(1, rows, QUICK_SECONDS, missing))
    missing += [f"{name}: not there" for name in missing_rows(rounds, rows)
                if not any(m.startswith(f"{name}: ") for m in missing)]
    return [{**fixed, **results} for results in rounds], once, missing


def publish(made):
    """Moves a finished report from where it was made to where people look."""
    plots = BENCH / "plots"
    shutil.rmtree(plots, ignore_errors=True)
    shutil.move(made / "plots", plots)
    for name in ("results.csv", "RESULTS.md"):
        os.replace(made / name, BENCH / name)


def write_report(facts, rounds, once):
    """Everything is made before the first of it replaces the old report."""
    # below build/, so that moving it does not cross a file system
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as directory:
        made = pathlib.Path(directory)
        (made / "plots").mkdir()
        (made / "results.csv").write_text(report.csv_text(rounds), encoding="utf-8")
        (made / "RESULTS.md").write_text(report.text(facts, rounds, once), encoding="utf-8")
        try:
            report.plots(rounds, made / "plots", call)
        except Failed as failure:
            print(f"run.py: no report is written: {failure}", file=sys.stderr)
            return False
        publish(made)
    print("wrote bench/RESULTS.md, bench/results.csv and bench/plots/", file=sys.stderr)
    return True


def run_only(rows, text):
    chosen, missing = [r for r in rows if text in r.name], []
    results = run_round(1, chosen, QUICK_SECONDS, missing)
    print(report.csv_text([results]), end="")
    for line in missing:
        print(f"run.py: {line}", file=sys.stderr)
    return 1 if missing or not chosen else 0


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0],
                                     epilog="ROUNDS in the environment: how many rounds, 5 without it.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="one short round, printed, nothing is written")
    which.add_argument("--only", metavar="TEXT", help="only rows whose name contains TEXT, printed as CSV")
    parser.add_argument("--no-floors", action="store_true", help="missing a floor is no failure")
    args = parser.parse_args()
    args.rounds = int(os.environ.get("ROUNDS", "5")) if not args.quick else 1
    if args.rounds < 1:
        parser.error("ROUNDS: expected at least 1")
    return args


def main():
    args = options()
    is_short = args.quick or args.only is not None
    rows = matrix.rows(is_short)
    try:
        facts = machine.facts(ROOT, call)  # its load is the one before building
        build_all(("gcc",) if is_short else matrix.BUILDS)
        if args.only is not None:
            return run_only(rows, args.only)
        before = machine.stolen()
        rounds, once, missing = measure_all(rows, args.rounds, args.quick)
        facts += machine.stolen_since(before)
    except Failed as failure:
        print(f"run.py: {failure}", file=sys.stderr)
        return 1
    if missing:
        print("run.py: the run is not complete, no report is written. What is missing:", file=sys.stderr)
        for line in missing:
            print(f"  {line}", file=sys.stderr)
        return 1
    if args.quick:
        print(report.text(facts, rounds, once, has_plots=False), end="")
    elif not write_report(facts, rounds, once):
        return 1
    below = report.below_floor(rounds)
    for line in below:
        print(f"run.py: floor not met: {line}", file=sys.stderr)
    return 1 if below and not args.no_floors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("run.py: interrupted, nothing was written")
