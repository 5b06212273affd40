"""report.py: the report of a complete run, as Markdown, CSV and plots. Nothing here measures."""
import math
import pathlib
import statistics
import tempfile

import matrix

COLUMNS = ("scenario,transport,policy,rate,depth,items,bytes,pin,seconds,ops,ops_per_s,units,units_per_s,p50_ns,"
           "p95_ns,p99_ns,p999_ns,max_ns,client_cpu_s,server_cpu_s,verified,client_build,server_build,"
           "profile").split(",")
PERCENTILES = (("p50_ns", "p50"), ("p95_ns", "p95"), ("p99_ns", "p99"), ("p999_ns", "p99.9"))

# -- numbers -------------------------------------------------------------------------------------------------


def median(rounds, name, column):
    return statistics.median(r[name][column] for r in rounds)


def number(value):
    """Three digits that count."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def per_second(value):
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{number(value / size)} {unit}"
    return number(value)


def duration(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{number(ns / size)} {unit}"
    return f"{ns:.0f} ns"


def size_text(count):
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count // size} {unit}"
    return f"{count} B"


# -- targets -------------------------------------------------------------------------------------------------


def judge(target, rounds):
    """Value of each round, their median, and whether floor and goal are met."""
    values = [target.value(r) for r in rounds]
    middle = statistics.median(values)

    def within(limit):
        return middle <= limit if target.is_upper else middle >= limit

    has_goal = within(target.goal)
    if target.and_goal is not None:
        has_goal = has_goal and statistics.median(target.and_goal(r) for r in rounds) < 1
    return values, middle, within(target.floor), has_goal


def below_floor(rounds):
    found = []
    for target in matrix.targets():
        _, middle, has_floor, _ = judge(target, rounds)
        if not has_floor:
            sign = "<=" if target.is_upper else ">="
            found.append(f"{target.text}: {number(middle)}, expected {sign} {number(target.floor)}")
    return found


def targets_text(rounds):
    lines = ["| | measured | rounds | floor | goal | |", "|---|--:|--:|--:|--:|---|"]
    for target in matrix.targets():
        values, middle, has_floor, has_goal = judge(target, rounds)
        sign = "≤" if target.is_upper else "≥"
        verdict = "goal met" if has_goal else "floor met" if has_floor else "**not met**"
        goal = number(target.goal) + (", and a lower median latency" if target.and_goal else "")
        lines.append(f"| {target.text} | {number(middle)} | {number(min(values))} to {number(max(values))} | "
                     f"{sign} {number(target.floor)} | {sign} {goal} | {verdict} |")
    return lines


# -- rows as tables ------------------------------------------------------------------------------------------


def what_it_is(name, row):
    """What a row of a table measures, without what its table says."""
    words = [row["transport"]]
    if row["policy"] in ("latency", "frugal"):
        words.append(f"policy {row['policy']}")
    if row["depth"] != "":
        words.append(f"depth {row['depth']:.0f}")
    if row["items"] != "":
        words.append(f"{row['items']} items")
    if row["bytes"] != "":
        words.append(size_text(int(row["bytes"])))
    if row["rate"] != "max":
        words.append(f"{int(row['rate']):,}/s")
    if row["pin"] == "one-cpu":
        words.append("one CPU")
    if "next to" in name:
        words.append(name.rpartition("/")[2])
    return ", ".join(words)


def row_line(rounds, name):
    row = rounds[0][name]
    cells = [what_it_is(name, row), per_second(median(rounds, name, "ops_per_s"))]
    cells.append(per_second(median(rounds, name, "units_per_s")) if row["units"] != row["ops"] else "")
    cells += [duration(median(rounds, name, column)) for column, _ in PERCENTILES]
    cells.append(duration(max(r[name]["max_ns"] for r in rounds)))
    cells.append(number(statistics.median(matrix.cpu_per_call(r[name]) for r in rounds) * 1e6))
    return f"| {' | '.join(cells)} |"


def row_table(rounds, names, units):
    head = ["", "operations/s", f"{units}/s" if units else " ", *(text for _, text in PERCENTILES), "max",
            "CPU µs/operation"]
    return [f"| {' | '.join(head)} |", "|---" + "|--:" * (len(head) - 1) + "|",
            *(row_line(rounds, name) for name in names)]


def is_pair(name):
    return " to " in name and "next to" not in name


def sections(rounds):
    """Titles, units and names of the tables, from what was measured."""
    names = [n for n in rounds[0] if not n.startswith("idle/") and not is_pair(n)]
    ping = [n for n in names if n.startswith("ping-pong/")]
    paced = [n for n in ping if rounds[0][n]["rate"] != "max"]
    shared = [n for n in ping if n.endswith("/one-cpu")]
    yield ("Ping-pong: one call after another, a CPU for each side", "",
           [n for n in ping if n not in paced and n not in shared])
    yield "Ping-pong, everything on one CPU", "", shared
    yield "Ping-pong at a fixed rate: latency from when a call was due", "", paced
    for scenario, title, units in (("pipeline", "Pipeline: several requests under way", ""),
                                   ("batch", "Batch: several requests in a message", "items"),
                                   ("pipeline-batch", "Pipeline of batches", "items"),
                                   ("snapshot", "Snapshot of control groups, encoded for every call", "items"),
                                   ("payload", "Large answers", "bytes"),
                                   ("memcpy", "memcpy of as many bytes, in the client's process", "bytes"),
                                   ("connect", "Connect, handshake, close; not pinned", ""),
                                   ("load", "Connect and first call, all modules loaded anew; not pinned", "")):
        chosen = [n for n in names if n.startswith(f"{scenario}/")]
        if scenario == "pipeline":
            chosen.sort(key=lambda n: rounds[0][n]["depth"])
        yield title, units, chosen


def pairs_text(rounds):
    lines = []
    for transport in ("ring", "uds"):
        lines += ["", f"{transport}, calls/s:", "", "| client | " + " | ".join(f"server {b}" for b in matrix.BUILDS)
                  + " |", "|---" + "|--:" * len(matrix.BUILDS) + "|"]
        for client in matrix.BUILDS:
            cells = [per_second(median(rounds, f"ping-pong/{transport}/{client} to {server}", "ops_per_s"))
                     for server in matrix.BUILDS]
            lines.append(f"| {client} | {' | '.join(cells)} |")
    return lines


def boundary(rounds, transport):
    """Time of a call through modules by that of a call with the same modules linked in."""
    ours, theirs = (f"ping-pong/{transport}/{b} to {b}" for b in ("gcc", "builtin"))
    return statistics.median(r[theirs]["ops_per_s"] / r[ours]["ops_per_s"] for r in rounds)


def other_text(rounds, once):
    files, scan, read = once["scan_ms"]
    lines = ["| | |", "|---|--:|"]
    for transport in ("ring", "uds"):
        if f"ping-pong/{transport}/builtin to builtin" in rounds[0]:
            lines.append(f"| call over {transport} through loadable modules / the same modules linked in, time | "
                         f"{number(boundary(rounds, transport))} |")
    for transport in matrix.TRANSPORTS:
        row = rounds[0][f"idle/{transport}"]
        lines.append(f"| {row['sessions']} idle sessions over {row['transport']}, context switches in "
                     f"{row['seconds']} s: server, client | {row['server']}, {row['client']} |")
    return lines + [
        f"| idle `viaductd`, private memory | {once['idle_kib'] / 1024:.2f} MiB |",
        f"| registry over {files:.0f} module files | {scan:.2f} ms |",
        f"| opening, reading 4 KiB of and closing the same files | {read:.2f} ms |",
        f"| text of `libviaduct` | {once['text_bytes'] / 1024:.0f} KiB |",
    ]


PLOTS = (("latency", "Latency of ping-pong, by transport"), ("depth", "Rate by pipeline depth"),
         ("batch", "Items by batch size"), ("payload", "Bytes by payload size, and memcpy"),
         ("cpu", "Processor time of both sides by rate"))

ABOUT = """\
Written by `make bench` from a complete run; do not edit. All rows of all rounds are in [results.csv](results.csv).
Client and server are two processes, the client's thread pinned to the first usable CPU, the server's threads to the
second, unless a table says otherwise. Every answer was verified: it must be the next number of a chain, or the bytes
that were expected. Each round measures every row once, one after another; a ratio is taken within a round. Figures are
medians over the rounds, max is the highest of all of them. Where operations take up to 2 µs only every 64th is timed.
Processor time is that of all threads of both processes."""


def text(facts, rounds, once, has_plots=True):
    lines = ["# Results", "", ABOUT, "", "## Machine", "", "| | |", "|---|---|",
             *(f"| {name} | {value} |" for name, value in facts), f"| rounds | {len(rounds)} |",
             "", "## Targets", "", *targets_text(rounds)]
    for title, units, names in sections(rounds):
        lines += ["", f"## {title}", "", *row_table(rounds, names, units)]
    if any(is_pair(n) for n in rounds[0]):
        lines += ["", "## Client and server of independent builds", "",
                  "gcc and clang: loadable modules; builtin: gcc, the modules linked into the library.",
                  *pairs_text(rounds)]
    lines += ["", "## Modules, idling, size", "", *other_text(rounds, once)]
    if has_plots:
        lines += ["", "## Plots"]
        for name, title in PLOTS:
            lines += ["", f"![{title}](plots/{name}.svg)"]
    return "\n".join(lines) + "\n"


def csv_text(rounds):
    lines = [",".join(["round", "name", *COLUMNS])]
    for i, results in enumerate(rounds, 1):
        for name, row in results.items():
            if name.startswith("idle/"):
                continue
            cells = (f"{v:.10g}" if isinstance(v, float) else str(v) for v in (row[c] for c in COLUMNS))
            lines.append(",".join([str(i), name, *cells]))
    return "\n".join(lines) + "\n"


# -- plots ---------------------------------------------------------------------------------------------------

COLOURS = ("9400d3", "009e73", "56b4e9", "000000", "e69f00", "0072b2", "d55e00", "8c8c8c", "b8860b")
TERMINAL = ("set terminal svg size 760,440 font 'sans-serif,13' background 'white'\nset grid\nset key outside right\n"
            "set format y '10^{%L}'\n")


def plot(path, call, title, settings, lines):
    """lines: pairs of a legend and its points; a point's x may be a text, which then labels its place."""
    with tempfile.TemporaryDirectory() as directory:
        script = [TERMINAL, f"set output '{path}'", f"set title '{title}'", settings]
        parts = []
        for i, (legend, points) in enumerate(lines):
            dashes = "" if legend in matrix.TRANSPORTS else " dt 2"  # what viaduct is compared with
            data = pathlib.Path(directory) / f"{i}.dat"
            data.write_text("".join(f"{x} {y:.10g}\n" for x, y in points), encoding="ascii")
            columns = "0:2:xtic(1)" if isinstance(points[0][0], str) else "1:2"
            parts.append(f"'{data}' using {columns} with linespoints lw 2 lc rgb '#{COLOURS[i]}'"
                         f"{dashes} pt 7 ps 0.6 title '{legend}'")
        script.append("plot " + ", ".join(parts))
        file = pathlib.Path(directory) / "plot.gp"
        file.write_text("\n".join(script) + "\n", encoding="utf-8")
        call(["gnuplot", file])


def series(rounds, name, xs, column, scale=1.0):
    """Points of the rows NAME/x."""
    return [(x, median(rounds, name.format(x), column) * scale) for x in xs]


def plots(rounds, directory, call):
    def draw(which, settings, lines):
        name, title = PLOTS[which]
        plot(directory / f"{name}.svg", call, title, settings, lines)

    compared = (*matrix.TRANSPORTS, "raw-line", "raw-futex", "raw-seqpacket-poll", "raw-seqpacket-block", "nng-ipc",
                "zmq-ipc")
    draw(0, "set logscale y\nset ylabel 'ns'\nset xlabel 'percentile'",
         [(t, [(label, median(rounds, f"ping-pong/{t}", column)) for column, label in PERCENTILES]) for t in compared])
    draw(1, "set logscale x 2\nset logscale y\nset xlabel 'requests under way'\nset ylabel 'calls/s'",
         [(t, series(rounds, f"pipeline/{t}/{{}}", matrix.DEPTHS, "ops_per_s")) for t in matrix.PIPELINED])
    draw(2, "set logscale xy\nset format x '10^{%L}'\nset xlabel 'items in a batch'\nset ylabel 'items/s'",
         [(t, series(rounds, f"batch/{t}/{{}}", matrix.BATCHES, "units_per_s")) for t in matrix.TRANSPORTS])
    draw(3, "set logscale x 2\nset logscale y\nset xlabel 'bytes of an answer'\nset ylabel 'GB/s'\n"
         "set format x '2^{%L}'",
         [*((t, series(rounds, f"payload/{t}/{{}}", matrix.SIZES, "units_per_s", 1e-9)) for t in matrix.TRANSPORTS),
          ("memcpy", series(rounds, "memcpy/{}/next to ring", matrix.SIZES, "units_per_s", 1e-9))])

    def cpu(name, rate):
        return statistics.median(matrix.cpu_per_call(r[name.format(rate)]) for r in rounds) * 1e6

    draw(4, "set logscale xy\nset format x '10^{%L}'\nset xrange [700:140000]\nset xlabel 'calls/s'\nset ylabel 'µs of processor time a call'",
         [*((t, [(r, cpu(f"ping-pong/{t}/{{}}", r)) for r in matrix.RATES]) for t in matrix.TRANSPORTS),
          ("raw-seqpacket-block", [(r, cpu("ping-pong/raw-seqpacket-block/{}", r)) for r in matrix.COMPARED_RATES])])
