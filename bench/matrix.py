"""matrix.py: which rows a run of the benchmarks has, and what is asked of them.

A row is one call of `viaduct bench` or of bench_compare. Its name is scenario/transport and what makes it
different, and is what targets refer to; the order is that of a round, so that what is compared is measured
close together.
"""
from dataclasses import dataclass, field

TRANSPORTS = ("ring", "posixshm", "uds")
PIPELINED = ("ring", "uds")  # posixshm holds one message each way
BUILDS = ("gcc", "clang", "builtin")
DEPTHS = (1, 2, 4, 8, 16, 32, 64)
BATCHES = (1, 10, 100, 1000)
SIZES = (4096, 65536, 1048576, 16777216)
RATES = (1000, 10000, 100000)
COMPARED_RATES = (1000, 10000)
BIGGEST = SIZES[-1]


@dataclass(frozen=True)
class Row:
    name: str
    program: str  # "viaduct" or "bench_compare"
    args: tuple
    factor: float = 1.0  # of the usual seconds
    client: str = "gcc"  # which build
    server: str = "gcc"
    also: tuple = field(default=())  # names of further lines that the same call prints


def compare(what, *args, name=None, factor=1.0):
    return Row(name or f"ping-pong/{what}", "bench_compare", (*args, what), factor)


def viaduct(scenario, transport, *args, name="", pin="--pin", factor=1.0, **more):
    pinned = (pin,) if pin else ()
    return Row(f"{scenario}/{transport}{name}", "viaduct",
               ("bench", "--csv", *pinned, "--scenario", scenario, *args, "--transport", transport), factor, **more)


def pipeline(transport, depth):
    return viaduct("pipeline", transport, "--depth", str(depth), name=f"/{depth}")


def batch(transport):
    return viaduct("batch", transport, "--items", "2..1000", name="/2..1000")


def snapshot(transport):
    return viaduct("snapshot", transport, "--items", "16", name="/16")


# A machine may change its mind between rows: what a target divides is measured at once.
AT_ONCE = (("pipeline", "ring", 16), ("batch", "ring"), ("snapshot", "ring"), ("pipeline", "uds", 16))


def round_trips():
    yield compare("raw-line")
    yield viaduct("ping-pong", "ring")
    yield pipeline("ring", 16)
    yield batch("ring")
    yield snapshot("ring")
    yield compare("nng-ipc")
    yield compare("zmq-ipc")
    yield compare("raw-futex-wake")
    yield viaduct("ping-pong", "posixshm")
    yield compare("raw-futex")
    yield compare("raw-seqpacket-poll")
    yield viaduct("ping-pong", "uds")
    yield pipeline("uds", 16)
    yield compare("raw-seqpacket-block")
    for policy in ("latency", "frugal"):
        yield viaduct("ping-pong", "ring", "--policy", policy, name=f"/{policy}")


def one_cpu():
    yield compare("raw-seqpacket-block", "--one-cpu", name="ping-pong/raw-seqpacket-block/one-cpu")
    for t in TRANSPORTS:
        yield viaduct("ping-pong", t, name="/one-cpu", pin="--one-cpu")
    for t in ("nng-ipc", "zmq-ipc"):
        yield compare(t, "--one-cpu", name=f"ping-pong/{t}/one-cpu")


def paced():
    for rate in RATES:
        if rate in COMPARED_RATES:
            yield compare("raw-seqpacket-block", "--rate", str(rate), factor=2,
                          name=f"ping-pong/raw-seqpacket-block/{rate}")
        for t in TRANSPORTS:
            yield viaduct("ping-pong", t, "--rate", str(rate), name=f"/{rate}", factor=2)


def several_under_way():
    for depth in DEPTHS:
        for t in PIPELINED:
            if ("pipeline", t, depth) not in AT_ONCE:
                yield pipeline(t, depth)
    for t in ("raw-seqpacket-block", "raw-seqpacket-poll"):
        yield compare(t, "--depth", "16", name=f"pipeline/{t}/16")
    for t in TRANSPORTS:
        if ("batch", t) not in AT_ONCE:
            yield batch(t)
        for items in BATCHES:
            yield viaduct("batch", t, "--items", str(items), name=f"/{items}")
    for t in PIPELINED:
        yield viaduct("pipeline-batch", t, "--depth", "16", "--items", "2..1000", name="/16/2..1000")


def larger():
    for t in TRANSPORTS:
        if ("snapshot", t) not in AT_ONCE:
            yield snapshot(t)
    for size in SIZES:
        for t in TRANSPORTS:
            # the same call copies as many bytes in one process
            yield viaduct("payload", t, "--bytes", str(size), name=f"/{size}",
                          also=(f"memcpy/{size}/next to {t}",))


def openings():
    for t in TRANSPORTS:
        yield viaduct("connect", t, pin="")
        yield viaduct("load", t, pin="")


def pairs():
    for t in ("ring", "uds"):
        for client in BUILDS:
            for server in BUILDS:
                yield viaduct("ping-pong", t, name=f"/{client} to {server}", client=client, server=server)


def rows(is_quick):
    """All rows of a round; a quick one has one build, hence no pairs."""
    groups = [round_trips, one_cpu, paced, several_under_way, larger, openings]
    return [row for group in groups + ([] if is_quick else [pairs]) for row in group()]


# -- targets -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    text: str
    value: object  # of a round's rows, by name
    is_upper: bool  # floor and goal are the most there may be
    floor: float
    goal: float
    and_goal: object = None  # what else the goal asks for, of a round's rows: below 1
    rows: tuple = ()  # names that value looks at


def rate(name):
    return lambda r: r[name]["ops_per_s"]


def over(a, b, column="ops_per_s", column_b=None):
    return lambda r: r[a][column] / r[b][column_b or column]


def cpu_per_call(row):
    return (row["client_cpu_s"] + row["server_cpu_s"]) / row["ops"]


def posixshm_ideal(r):
    """Cache line and two wakes without a waiter, as a rate."""
    return 1 / (1 / r["ping-pong/raw-line"]["ops_per_s"] + 2 / r["ping-pong/raw-futex-wake"]["ops_per_s"])


def at_rate(transport, per_second):
    ours, theirs = f"ping-pong/{transport}/{per_second}", f"ping-pong/raw-seqpacket-block/{per_second}"
    return Target(f"{transport} at {per_second:,} calls/s: processor time of both sides / blocking SEQPACKET's",
                  lambda r: cpu_per_call(r[ours]) / cpu_per_call(r[theirs]), True, 1.2, 1,
                  and_goal=lambda r: r[ours]["p50_ns"] / r[theirs]["p50_ns"], rows=(ours, theirs))


def idle(transport):
    name = f"idle/{transport}"
    return Target(f"idle, 100 open sessions, {transport}: wake-ups/s of both sides",
                  lambda r: r[name]["wakeups_per_s"], True, 0, 0, rows=(name,))


def pinned(transport):
    ours, theirs = f"ping-pong/{transport}/one-cpu", "ping-pong/raw-seqpacket-block/one-cpu"
    return Target(f"everything on one CPU: {transport} / blocking SEQPACKET, rate", over(ours, theirs), False, 0.9,
                  1.5, rows=(ours, theirs))


def ratio(text, a, b, is_upper, floor, goal, column="ops_per_s", column_b=None):
    """Rate of a by that of b; with is_upper the round trip of a by that of b, which is the inverse."""
    value = over(b, a) if is_upper else over(a, b, column, column_b)
    return Target(text, value, is_upper, floor, goal, rows=(a, b))


def targets():
    ring, shm, uds = (f"ping-pong/{t}" for t in TRANSPORTS)
    return [
        ratio("ring ping-pong / raw cache line, round trip", ring, "ping-pong/raw-line", True, 4, 2),
        ratio("ring ping-pong / nng ipc, rate", ring, "ping-pong/nng-ipc", False, 300, 2000),
        ratio("ring pipeline of 16 / ring ping-pong, rate", "pipeline/ring/16", ring, False, 3, 6),
        Target("posixshm ping-pong / cache line and two wakes without a waiter, round trip",
               lambda r: posixshm_ideal(r) / r[shm]["ops_per_s"], True, 2, 1.3,
               rows=(shm, "ping-pong/raw-line", "ping-pong/raw-futex-wake")),
        ratio("uds ping-pong / raw busy-polled SEQPACKET, round trip", uds, "ping-pong/raw-seqpacket-poll", True,
              2, 1.1),
        ratio("uds ping-pong / blocking SEQPACKET across CPUs, rate", uds, "ping-pong/raw-seqpacket-block", False,
              8, 18),
        ratio("uds pipeline of 16 / uds ping-pong, rate", "pipeline/uds/16", uds, False, 2, 4),
        ratio("ring batch of 2..1000, items/s / ring ping-pong, calls/s", "batch/ring/2..1000", ring, False, 20, 60,
              "units_per_s", "ops_per_s"),
        ratio("ring snapshot of 16 cgroups / ring ping-pong, rate", "snapshot/ring/16", ring, False, 0.1, 0.25),
        ratio("ring payload of 16 MiB / memcpy of it, rate", f"payload/ring/{BIGGEST}",
              f"memcpy/{BIGGEST}/next to ring", False, 0.5, 0.9),
        *(at_rate(t, per_second) for t in TRANSPORTS for per_second in COMPARED_RATES),
        *(idle(t) for t in TRANSPORTS),
        *(pinned(t) for t in TRANSPORTS),
    ]
