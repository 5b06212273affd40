#!/usr/bin/env python3
"""rules.py RULE [--compiler CC]: checks one rule of the house over the whole tree; `all` checks every one.

names      core/ contains the name of no module
includes   a module includes <viaduct/*.h> (not the application API) and its own files, nothing else
lanes      every function of the ABI carries its lane tag
sizes      files have at most 600 lines, functions at most 60
system     core/ includes system headers only below core/os/
spdx       headers say their licence on line 1
sleeps     tests wait for a condition, they do not sleep
windows    what of tests/ is not run on Windows is in the table of docs/windows.md, and nothing else is
version    every copy of the version and of the ABI's major number is that of CMakeLists.txt and abi.h
changes    the top section of CHANGES.md is of this version, those below were released
gnu        what only GNU compilers take is said in the few places that have a branch for the others
self-test  every rule finds what it is there to find
"""
import argparse
import fnmatch
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True
import release_check  # noqa: E402
SOURCES = ("core", "transports", "codecs", "services", "tools", "tests", "fuzz", "bench", "docs", "include")
MODULES = ("transports", "codecs", "services")
MAX_FILE, MAX_FUNCTION = 600, 60
ABI_HEADERS = ("host", "transport", "codec", "service", "module")
# Headers with a branch for each compiler, and what is built where every compiler is GNU's or clang.
GNU_PLACES = ("include/viaduct/abi.h", "include/viaduct/module.h", "include/viaduct/app/base.h", "core/os/os.h",
              "tools/lib/hist.h", "tests/shim/criterion/criterion.h", "core/os/posix", "bench", "fuzz",
              "tests/os/words.c")
STANDARD = {
    "assert", "ctype", "errno", "inttypes", "limits", "malloc", "stdalign", "stdarg", "stdatomic", "stdbool",
    "stddef", "stdint", "stdio", "stdlib", "string",
}


def files(root, *parents):
    for parent in parents:
        for path in sorted((root / parent).rglob("*.[ch]")):
            if path.is_file():
                yield path


def lines_of(path):
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def where(root, path, line):
    return f"{path.relative_to(root)}:{line}"


def without_comments(text):
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0)) if match.group(0)[0] == "/" else match.group(0)

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def rule_names(root, _cc):
    names = sorted({d.name for kind in MODULES for d in (root / kind).glob("*/") if d.is_dir()})
    if not names:
        return ["there are no module directories"]
    either = "|".join(re.escape(n) for n in names)
    # "loop" is an ordinary English word at the start of an identifier
    prefixes = "|".join(re.escape(n.replace("-", "_")) for n in names if n != "loop")
    pattern = re.compile(rf'"(?:org\.viaduct\.)?(?:(?:codec|service)-)?(?:{either})"')
    if prefixes:
        pattern = re.compile(rf"{pattern.pattern}|\b(?:{prefixes})_[a-z]")
    found = []
    for path in files(root, "core"):
        text = without_comments(path.read_text(encoding="utf-8", errors="replace"))
        for number, line in enumerate(text.splitlines(), 1):
            line = re.sub(r'\b(?:posix_may|win_may|env_deny)\([^"()]*"\w+"\)', "", line)  # a system call's name
            for match in pattern.finditer(line):
                found.append(f"{where(root, path, number)}: the core names a module: {match.group(0)}")
    return found


def rule_includes(root, cc):
    found = []
    abi = root / "include" / "viaduct"
    for path in files(root, *MODULES):
        if path.suffix != ".c":
            continue
        # A module's directory is the first one below its kind. -MG: headers of other systems may be missing.
        own = root / path.relative_to(root).parts[0] / path.relative_to(root).parts[1]
        run = subprocess.run([cc, "-MM", "-MG", "-I", root / "include", path], capture_output=True,
                             text=True, check=False)
        if run.returncode != 0:
            found.append(f"{path.relative_to(root)}: {run.stderr.strip()}")
            continue
        for word in run.stdout.replace("\\\n", " ").split()[1:]:
            header = pathlib.Path(word)
            if not header.exists() and "/" not in word:
                continue
            header = header.resolve()
            is_abi = abi in header.parents and "app" not in header.relative_to(abi).parts[:-1]
            if own in header.parents or (is_abi and header.name != "viaduct.h"):
                continue
            found.append(f"{path.relative_to(root)}: a module must not include {word}")
    return found


def rule_lanes(root, _cc):
    member = re.compile(r"^(?!typedef)[^\n]*\(VIA_CALL \*(\w+)\)\([^;]*;([ \t]*/\*.*?\*/)?", re.M | re.S)
    tag = re.compile(r"\[(?:ctl|tx|rx|any)[^\]]*\]")
    found = []
    for name in ABI_HEADERS:
        path = root / "include" / "viaduct" / f"{name}.h"
        text = path.read_text(encoding="utf-8")
        members = list(member.finditer(text))
        if not members:
            found.append(f"{path.relative_to(root)}: no function was found")
        for match in members:
            if tag.search(match.group(2) or "") is None:
                number = text.count("\n", 0, match.start(1)) + 1
                found.append(f"{where(root, path, number)}: {match.group(1)} has no lane tag")
    return found


def rule_sizes(root, _cc):
    found = []
    for path in files(root, *SOURCES):
        lines = lines_of(path)
        if len(lines) > MAX_FILE:
            found.append(f"{path.relative_to(root)}: {len(lines)} lines, expected at most {MAX_FILE}")
        start = None
        for number, line in enumerate(lines, 1):
            if line.startswith("{"):
                start = number
            elif line.startswith("}") and start is not None:
                if number - start - 1 > MAX_FUNCTION:
                    found.append(f"{where(root, path, start)}: a function of {number - start - 1} lines, "
                                 f"expected at most {MAX_FUNCTION}")
                start = None
    return found


def rule_system(root, _cc):
    found = []
    for path in files(root, "core"):
        if path.relative_to(root).parts[1] == "os":
            continue
        for number, line in enumerate(lines_of(path), 1):
            match = re.match(r"\s*#\s*include\s*<([^>]+)\.h>", line)
            if match and not match.group(1).startswith("viaduct/") and match.group(1) not in STANDARD:
                found.append(f"{where(root, path, number)}: only core/os/ includes <{match.group(1)}.h>")
    return found


def rule_spdx(root, _cc):
    found = []
    for path in files(root, *SOURCES):
        if path.suffix == ".h" and "SPDX-License-Identifier: Apache-2.0" not in (lines_of(path) or [""])[0]:
            found.append(f"{path.relative_to(root)}: line 1 does not name the licence (SPDX)")
    return found


def rule_sleeps(root, _cc):
    pattern = re.compile(r"\b(?:sleep|usleep|nanosleep|clock_nanosleep|Sleep)\(|^\s*sleep\s+[0-9]|"
                         r"\btime\.sleep\(")
    found = []
    for path in sorted((root / "tests").rglob("*")):
        if path.suffix not in (".c", ".h", ".sh", ".py") or not path.is_file():
            continue
        for number, line in enumerate(lines_of(path), 1):
            if pattern.search(line):
                found.append(f"{where(root, path, number)}: a sleep in a test: {line.strip()}")
    return found


# -- what Windows does not run ---------------------------------------------------------------------------------

def holds(words):
    """Whether an if() of CMake holds in a build for Windows; None where that does not decide it."""
    text = " ".join(words)
    return {"WIN32": True, "NOT WIN32": False, 'CMAKE_SYSTEM_NAME STREQUAL "Linux"': False}.get(text)


def cmake_commands(text):
    text = re.sub(r"#[^\n]*", "", text)
    for match in re.finditer(r"(\w+)\s*\(((?:[^()\"]|\"[^\"]*\"|\([^()]*\))*)\)", text):
        yield match.group(1), match.group(2).split()


def built_on_windows(text):
    """Names of C files that a list of CMake gives to Windows."""
    stack, found = [], set()
    for command, words in cmake_commands(text):
        if command == "if":
            stack.append(holds(words))
        elif command == "else":
            stack[-1] = None if stack[-1] is None else not stack[-1]
        elif command == "elseif":
            stack[-1] = holds(words) if stack[-1] is not True else False
        elif command == "endif":
            stack.pop()
        elif False not in stack and not {"POSIX_ONLY", "LINUX_ONLY"} & set(words):
            found |= {word for word in words if word.endswith(".c")}
    return found


CASE = re.compile(r"(?:[A-Z]+_TEST|Test|ParameterizedTest)\((?:char \w+\[\w+\], )?(\w+)(?:, (\w+))?[,)]")


def cases_not_on_windows(path):
    """Test cases of a file that the preprocessor takes away on Windows."""
    stack, found = [], set()
    for line in lines_of(path):
        directive = re.match(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b(.*)", line)
        if directive:
            word, condition = directive.group(1), directive.group(2)
            is_windows = "_WIN32" in condition
            is_other = re.search(r"__linux__|__SANITIZE_\w+", condition) is not None
            negated = "!" in condition or word == "ifndef"
            value = negated if is_other and not is_windows else not negated if is_windows else None
            if word in ("if", "ifdef", "ifndef"):
                stack.append(value)
            elif word == "elif":
                stack[-1] = False if stack[-1] is True else value
            elif word == "else":
                stack[-1] = None if stack[-1] is None else not stack[-1]
            else:
                stack.pop()
            continue
        case = CASE.match(line)
        if case and False in stack:
            found.add(f"{case.group(1)}::{case.group(2)}" if case.group(2) else case.group(1))
    return found


def rule_windows(root, _cc):
    """Files built for other systems only, and cases behind an #if, against the first column of the table."""
    doc = root / "docs" / "windows.md"
    text = doc.read_text(encoding="utf-8") if doc.exists() else ""
    section = text.partition("## What is not run on Windows, and why")[2].partition("\n## ")[0]
    named = set()
    for row in re.findall(r"^\| (`[^|]*) \|", section, re.M):
        named |= set(re.findall(r"`([^`]+)`", row))
    missing = set()
    for cmake in sorted((root / "tests").glob("*/CMakeLists.txt")):
        built = built_on_windows(cmake.read_text(encoding="utf-8"))
        for path in sorted(cmake.parent.glob("*.c")):
            if not any(CASE.match(line) for line in lines_of(path)):
                continue
            if path.name in built:
                missing |= cases_not_on_windows(path)
            else:
                missing.add(f"{cmake.parent.name}/{path.name}")
    unnamed = [m for m in missing if not any(fnmatch.fnmatchcase(m, n) for n in named)]
    stale = [n for n in named if not n.endswith(".py") and not fnmatch.filter(missing, n)]
    return [f"docs/windows.md: {name} is not run on Windows, and not in the table" for name in sorted(unnamed)] \
        + [f"docs/windows.md: the table names {name}, which is run on Windows or does not exist"
           for name in sorted(stale)]


def rule_version(root, _cc):
    return release_check.version_problems(root)


def rule_changes(root, _cc):
    return release_check.changes_problems(root)


def rule_gnu(root, _cc):
    pattern = re.compile(r"\b(?:__builtin_|__atomic_|__sync_|__attribute__|__extension__|__asm__|__typeof|__auto_type"
                         r"|__int128|__thread\b|asm\b|typeof\b)\w*|\(\{|\.\.\.\s*[\w']+\s*[\]:]|\?:"
                         r"|^\s*#\s*(?:include_next|warning|ident)\b|__VA_OPT__|##\s*__VA_ARGS__", re.M)
    found = []
    for path in files(root, *SOURCES):
        name = path.relative_to(root)
        module = path.relative_to(root).parts[:2]
        if any(name.is_relative_to(place) for place in GNU_PLACES) or name.stem.endswith("_posix"):
            continue
        lists = root.joinpath(*module, "CMakeLists.txt")
        if module[0] in MODULES and lists.exists() and re.search(r"POSIX_ONLY|LINUX_ONLY", lists.read_text()):
            continue
        text = without_comments(path.read_text(encoding="utf-8", errors="replace"))
        text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
        for number, line in enumerate(text.splitlines(), 1):
            for match in pattern.finditer(line):
                found.append(f"{where(root, path, number)}: only GNU compilers take `{match.group(0)}`; "
                             "see GNU_PLACES in rules.py")
    return found


RULES = {name[5:]: rule for name, rule in list(globals().items()) if name.startswith("rule_")}


def self_test(cc):
    """Each rule accepts a small good tree and refuses the same tree with one thing wrong."""
    good = {f"include/viaduct/{n}.h": "/* SPDX-License-Identifier: Apache-2.0 */\n"
                                      "\tint(VIA_CALL *f)(int a,\n\t\tint b); /* says\n\t[any] nb */\n"
            for n in ABI_HEADERS}
    good.update({
        "include/viaduct/app/x.h": "/* SPDX-License-Identifier: Apache-2.0 */\n",
        "transports/abc/abc.c": "#include <viaduct/module.h>\n#include \"own.h\"\n",
        "transports/abc/own.h": "/* SPDX-License-Identifier: Apache-2.0 */\n",
        "core/a/a.c": "#include <stdio.h>\n/* abc_x and \"abc\" */\nint abcd_x;\n",
        "core/os/b.c": "#include <windows.h>\n",
        "tests/t.c": "int asleep(int x);\n",
        "tests/a/CMakeLists.txt": "via_test(a SOURCES a.c)\nif(NOT WIN32)\n\tset(more b.c)\nendif()\n",
        "tests/a/a.c": "Test(a, here)\n#if !defined(_WIN32)\nTest(a, there)\n#endif\n",
        "tests/a/b.c": "STACK_TEST(b, x)\n",
        "docs/windows.md": "## What is not run on Windows, and why\n\n| `a/b.c` | x |\n| `a::there` | y |\n",
    })
    good.update({
        "CMakeLists.txt": "project(viaduct VERSION 1.2.3 LANGUAGES C)\n",
        "CHANGES.md": "# Changes\n\n## 1.2.3 (unreleased)\n\n## 1.2.2 (2030-05-01)\n\n- x\n",
        "include/viaduct/abi.h": "/* SPDX-License-Identifier: Apache-2.0 */\n#define VIA_ABI_MAJOR 1u\n",
        "include/viaduct/module.h": good["include/viaduct/module.h"] +
                                    '#define VIA_MODULE_SYMBOL "viaduct_module_v1"\n'
                                    '#define N VIA_NOTE_MAGIC "\\0abi=1\\0"\n'
                                    "VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(void);\n",
        "cmake/Options.cmake": "set(VIADUCT_ABI_MAJOR 1)\n",
        "cmake/CheckModule.cmake": "set(entry viaduct_module_v1)\n",
        "cmake/module.map": "{ global: viaduct_module_v1; };\n",
        "core/viaduct.map": "VIADUCT_1 { global: via_*; };\n",
        "packaging/components.cmake": "(core libviaduct1)\n",
    })
    bad = {
        "names": ("core/a/a.c", "int x = abc_open(\"y\");\n"),
        "includes": ("transports/abc/abc.c", "#include <viaduct/app/x.h>\n"),
        "lanes": ("include/viaduct/codec.h",
                  "/* SPDX-License-Identifier: Apache-2.0 */\n\tint(VIA_CALL *f)(int); /* none */\n"),
        "sizes": ("core/a/a.c", "int f(void)\n{\n" + "\tx();\n" * (MAX_FUNCTION + 1) + "}\n"),
        "system": ("core/a/a.c", "#include <unistd.h>\n"),
        "spdx": ("transports/abc/own.h", "int x;\n"),
        "sleeps": ("tests/t.c", "\tusleep(10);\n"),
        "windows": ("docs/windows.md",
                    "## What is not run on Windows, and why\n\n| `a/b.c` | x |\n| `a::h*` | y |\n"),
        "version": ("cmake/Options.cmake", "set(VIADUCT_ABI_MAJOR 2)\n"),
        "changes": ("CHANGES.md", "# Changes\n\n## 1.2.4 (unreleased)\n"),
        "gnu": ("core/a/a.c", "int f(int x)\n{\n\treturn __builtin_popcount(x);\n}\n"),
    }
    wrong = [f"no self-test of {name}" for name in RULES if name not in bad]
    for name, (target, text) in bad.items():
        for is_bad in (False, True):
            with tempfile.TemporaryDirectory() as directory:
                root = pathlib.Path(directory).resolve()
                for path, content in {**good, **({target: text} if is_bad else {})}.items():
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_text(content, encoding="utf-8")
                found = RULES[name](root, cc)
            if bool(found) != is_bad:
                wrong.append(f"rule {name}: {'missed the defect' if is_bad else found}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rule", choices=[*RULES, "self-test", "all"])
    parser.add_argument("--compiler", default="cc")
    args = parser.parse_args()
    found = []
    if args.rule in ("self-test", "all"):
        found += self_test(args.compiler)
    for name, rule in RULES.items():
        if args.rule in (name, "all"):
            found += rule(ROOT, args.compiler)
    print("\n".join(found) if found else f"{args.rule}: fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
