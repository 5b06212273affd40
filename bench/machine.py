"""machine.py: what a reader must know of the machine and the tree; no path and no host's name."""
import datetime
import os
import pathlib
import platform


def read(path, otherwise="unknown"):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return otherwise


def cpu_lines():
    """First processor of /proc/cpuinfo, by key."""
    first = read("/proc/cpuinfo", "").split("\n\n", maxsplit=1)[0]
    return {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in first.splitlines())}


def caches():
    found = []
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind = {"Data": "d", "Instruction": "i"}.get(read(index / "type"), "")
        found.append(f"L{read(index / 'level')}{kind} {read(index / 'size')}")
    return ", ".join(found) or "unknown"


def idle_governor():
    base = pathlib.Path("/sys/devices/system/cpu/cpuidle")
    governor = read(base / "current_governor", "") or read(base / "current_governor_ro", "none")
    return f"{governor}, driver {read(base / 'current_driver', 'none')}"


def commit(root, call):
    tree = call(["git", "-C", root, "rev-parse", "--short=12", "HEAD"]).strip()
    results = [":(exclude)bench/RESULTS.md", ":(exclude)bench/results.csv", ":(exclude)bench/plots",
               ":(exclude)bench/WINE.md"]
    changed = call(["git", "-C", root, "status", "--porcelain", "--", ".", *results]).strip()
    return f"{tree}{' with changes' if changed else ''}"


def facts(root, call):
    """Pairs of name and value, taken before the run."""
    cpu = cpu_lines()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    return [
        ("processor", cpu.get("model name", platform.machine())),
        ("processors usable", str(len(os.sched_getaffinity(0)))),
        ("caches of one", caches()),
        ("kernel", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("virtual machine", "yes" if "hypervisor" in flags else "the processor does not say so"),
        ("clock source", read(clock)),
        ("cpuidle governor", idle_governor()),
        ("gcc", call(["gcc", "--version"]).splitlines()[0]),
        ("clang", call(["clang", "--version"]).splitlines()[0]),
        ("load before the run", " ".join(f"{x:.2f}" for x in os.getloadavg())),
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("commit", commit(root, call)),
    ]


def stolen():
    """Ticks of all processors: stolen by the hypervisor, and all of them."""
    ticks = [int(x) for x in read("/proc/stat", "cpu 0").splitlines()[0].split()[1:9]]
    return (ticks[7] if len(ticks) == 8 else 0), sum(ticks)


def stolen_since(before):
    stolen_now, all_now = stolen()
    ticks = all_now - before[1]
    share = 100 * (stolen_now - before[0]) / ticks if ticks > 0 else 0
    return [("stolen by the hypervisor during the run", f"{share:.2f} % of processor time")]
