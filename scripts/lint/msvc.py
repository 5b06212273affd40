#!/usr/bin/env python3
"""msvc.py BUILD: what Windows builds, read by clang in the role of Microsoft's compiler.

BUILD is a configured MinGW build (cmake --preset mingw), whose compile_commands.json names the sources. Each
of them, each example, and each public header alone as C11 and as C++17, has to pass clang's cl mode at /W4 /WX with the
warnings for GNU extensions on. The headers of MinGW stand in for Microsoft's: each is wrapped, so that it
sees the GNU compiler it is written for while our files see Microsoft's; what only MinGW has is hidden.
Nothing is linked, nothing runs. What clang takes in this role and Microsoft's compiler does not (builtins,
attributes) is for `rules.py gnu`.
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MINGW = pathlib.Path("/usr/x86_64-w64-mingw32/include")
CLANG = [
    "clang", "--driver-mode=cl", "--target=x86_64-pc-windows-msvc", "-fmsc-version=1938", "-fsyntax-only",
    "/W4", "/WX", "-Wpedantic", "-Wgnu", "-Wvla", "-Wshadow", "-Wconversion",
    # the rest of a macro's arguments may be missing (C23, and Microsoft); __declspec and __pragma are meant
    "-Wno-gnu-zero-variadic-macro-arguments", "-Wno-language-extension-token",
    "-Wno-missing-field-initializers",
]
POSIX_HEADERS = "dirent getopt libgen pthread sched semaphore strings sys/param sys/time unistd utime".split()
# Functions and types that MinGW declares in headers which Microsoft has too.
POSIX_NAMES = """asprintf fseeko ftello ftruncate getline getopt gettimeofday gmtime_r localtime_r max_align_t mkdtemp
    mkstemp setenv ssize_t strcasecmp strncasecmp strndup strsep strtok_r stpcpy unsetenv usleep""".split()
AS_GNU = {"_MSC_VER": None, "_MSC_FULL_VER": None, "__GNUC__": "4", "__GNUC_MINOR__": "2", "__MINGW32__": "1",
          "__declspec(a)": "__attribute__((a))"}
SAMPLES = {  # what must be refused, and the word that must be in the refusal; None: must pass
    '#include <stdio.h>\n#include <windows.h>\nint f(void) { return printf("%lu", GetLastError()); }': None,
    "#include <stdatomic.h>\n_Thread_local int t; int f(_Atomic int *p) { return t + atomic_load(p); }": None,
    "#include <unistd.h>": "Microsoft has no <unistd.h>",
    "#include <string.h>\nint f(const char *a) { return strcasecmp(a, a); }": "strcasecmp",
    "#include <stddef.h>\nint f(void) { return (int)_Alignof(max_align_t); }": "max_align_t",
    "int f(void) { return ({ 1; }); }": "statement expression",
    "struct s { int a; }; struct s f(void) { return (struct s){}; }": "empty initializer",
    "int f(int n) { int a[n]; return (int)sizeof a; }": "variable length array",
    "int f(int c) { switch (c) { case 1 ... 3: return 1; default: return 0; } }": "case range",
    "int a[] = {[0 ... 3] = 1};": "range",
    "struct s { int n, a[0]; };": "zero size array",
    "int f(unsigned a, int b) { return a == b; }": "different signs",
    "#include <stdint.h>\nuint8_t f(uint64_t a) { return a; }": "loses integer precision",
}


def wrap_headers(directory):
    """Headers that turn clang into GNU's compiler, include MinGW's of the same name, and turn it back."""
    names = [name.split("(")[0] for name in AS_GNU] + POSIX_NAMES
    before = "#pragma clang system_header\n"
    before += "".join(f'#pragma push_macro("{name}")\n#undef {name}\n' for name in names)
    before += "".join(f"#define {name} {value}\n" for name, value in AS_GNU.items() if value is not None)
    after = "".join(f'#pragma pop_macro("{name}")\n' for name in reversed(names))
    (directory / "sys").mkdir()
    for path in [*MINGW.glob("*.h"), *MINGW.glob("sys/*.h")]:
        name = path.relative_to(MINGW)
        text = f"{before}#include_next <{name}>\n{after}"
        if str(name.with_suffix("")) in POSIX_HEADERS:
            text = f"#error Microsoft has no <{name}>\n"
        (directory / name).write_text(text, encoding="utf-8")


# "--" in front of a source: cl takes words that begin with '/' for options, /w... for one.
def units_of(build):
    """Options and sources, each source once for each set of options of ours that change its text."""
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    units = {}
    for command in commands:
        if not command["file"].endswith(".c"):  # resources
            continue
        options = [word for word in shlex.split(command["command"]) if word.startswith(("-D", "-I"))]
        options = [word for word in options if "MINGW" not in word]
        ours = tuple(word for word in options if word.startswith("-DVIA_") and "=" not in word)
        units.setdefault((command["file"], ours), ["/std:c11", *options, "--", command["file"]])
    return list(units.values())


def examples():
    """Built by nobody in the tree: they are for elsewhere."""
    return [["/std:c11", "-I", str(ROOT / "include"), "--", str(path)] for path in sorted((ROOT / "docs/examples").rglob("*.c"))]


def headers_of(directory):
    units = []
    for header in sorted((ROOT / "include").rglob("*.h")):
        name = header.relative_to(ROOT / "include")
        for language, standard in (("c", "c11"), ("cpp", "c++17")):
            path = directory / f"{'-'.join(name.with_suffix('').parts)}.{language}"
            path.write_text(f"#include <{name.as_posix()}>\n", encoding="utf-8")
            units.append([f"/std:{standard}", "-I", str(ROOT / "include"), "--", str(path)])
    return units


def samples_of(directory):
    for number, (text, word) in enumerate(SAMPLES.items()):
        path = directory / f"sample{number}.c"
        path.write_text(text + "\n", encoding="utf-8")
        yield ["/std:c11", "--", str(path)], text, word


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not MINGW.is_dir():
        sys.exit(f"msvc.py: expected MinGW's headers in {MINGW}: scripts/setup.sh windows")
    build = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        directory = pathlib.Path(name)
        wrapped = directory / "wrapped"
        wrapped.mkdir()
        wrap_headers(wrapped)
        hidden = [f"-D{word}={word}_of_posix_only" for word in POSIX_NAMES]
        fixed = [*CLANG, "-I", str(wrapped), "-imsvc", str(MINGW), *hidden]

        def read(unit):
            run = subprocess.run([*fixed, *unit], capture_output=True, text=True, check=False)
            return "" if run.returncode == 0 else run.stderr + run.stdout or "clang failed"

        wrong = [f"{'accepted' if text == '' else text}: {sample}"
                 for (unit, sample, word) in samples_of(directory)
                 for text in [read(unit)] if (word is None) != (text == "") or (word or "") not in text]
        units = units_of(build) + examples() + headers_of(directory)
        wrong += [text for text in pool.map(read, units) if text]
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(units)} compilations, clang for Microsoft's")
    return 0


if __name__ == "__main__":
    sys.exit(main())
