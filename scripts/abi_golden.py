#!/usr/bin/env python3
"""Writes or checks tests/abi/abi_golden.inc: every size, offset and constant of the public headers.

  scripts/abi_golden.py           add what is new; refuses when a row that exists would change
  scripts/abi_golden.py --break   write whatever the headers say (a new ABI major only)
  scripts/abi_golden.py --check   write nothing; status 1 when the table is not what the headers say

The compiler is $CC or cc. The table holds for LP64 and for Win64: members are fixed-width integers and
pointers only, and tests/abi compiles it for both.
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "tests", "abi", "abi_golden.inc")
HEADERS = ["abi.h", "host.h", "transport.h", "codec.h", "service.h", "module.h",
           "app/base.h", "app/wire.h", "app/registry.h", "app/endpoint.h", "app/session.h",
           "app/client.h", "app/server.h"]


def plain(path):
    """Text of a header without comments and preprocessor lines."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*\n", "\n", text, flags=re.M)


def block(text, start):
    """End of the braces that open at start."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i
    raise SystemExit("unbalanced braces")


def statements(body):
    depth, part = 0, ""
    for c in body:
        depth += {"{": 1, "}": -1, "(": 1, ")": -1}.get(c, 0)
        if c == ";" and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += c
    if part.strip():
        raise SystemExit("no ';' after: " + part.strip())


def members(body):
    for statement in statements(body):
        pointer = re.search(r"\(\s*(?:VIA_CALL\s*)?\*\s*(\w+)\s*\)\s*\(", statement)
        if pointer:
            yield pointer.group(1)
            continue
        statement = re.sub(r"\{.*\}", " ", statement, flags=re.S)
        for declarator in statement.split(","):
            yield re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", declarator).group(1)


def rows_of(header):
    """(macro, name...) for everything a header defines, in its order."""
    text = plain(os.path.join(ROOT, "include", "viaduct", header))
    found = []
    for match in re.finditer(r"\bstruct\s+(\w+)\s*\{", text):
        end = block(text, match.end() - 1)
        body = text[match.end():end]
        found.append((match.start(), ("SIZE", match.group(1))))
        found += [(match.start(), ("MEMBER", match.group(1), m)) for m in members(body)]
    for match in re.finditer(r"\benum\b\s*\w*\s*\{", text):
        end = block(text, match.end() - 1)
        body = text[match.end():end]
        for item in body.split(","):
            name = re.match(r"\s*(\w+)", item)
            if name:
                found.append((match.start(), ("VALUE", name.group(1))))
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def frozen():
    """Structs that their comment calls Frozen: not even their size may change."""
    names = set()
    for header in HEADERS:
        with open(os.path.join(ROOT, "include", "viaduct", header), encoding="utf-8") as f:
            names.update(re.findall(r"\bFrozen\b[^/]*\*/\s*(?:typedef\s+)?struct\s+(\w+)\s*\{", f.read()))
    return names


def measure(rows):
    lines = ["#include <stdio.h>"]
    lines += ["#include <viaduct/%s>" % h for h in HEADERS]
    lines += ["int main(void)", "{"]
    for row in rows:
        if row[0] == "SIZE":
            lines.append('printf("%%u\\n", (unsigned)sizeof(%s));' % row[1])
        elif row[0] == "MEMBER":
            lines.append('printf("%%u, %%u\\n", (unsigned)offsetof(%s, %s), (unsigned)sizeof(((%s *)0)->%s));'
                         % (row[1], row[2], row[1], row[2]))
        else:
            lines.append('printf("%%lld\\n", (long long)%s);' % row[1])
    lines += ["return 0;", "}"]
    with tempfile.TemporaryDirectory() as d:
        source, program = os.path.join(d, "probe.c"), os.path.join(d, "probe")
        with open(source, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-I" + os.path.join(ROOT, "include"),
                        source, "-o", program], check=True)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()


def wanted():
    rows = [(header, row) for header in HEADERS for row in rows_of(header)]
    values = measure([row for _, row in rows])
    return [(header, "%s(%s, %s)" % (row[0], ", ".join(row[1:]), value))
            for (header, row), value in zip(rows, values)]


def key(line):
    """The part of a row that names the thing."""
    n = 3 if line.startswith("MEMBER") else 2
    return re.split(r"[(,]\s*", line)[:n]


def may_grow(line, found):
    """A struct that is not frozen may get larger: its new members are at its end, or MEMBER rows differ."""
    if found is None or not line.startswith("SIZE"):
        return False
    name, was, now = key(line)[1], *(int(re.search(r"(\d+)\)", l).group(1)) for l in (line, found))
    return name not in frozen() and now > was


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode not in ("", "--check", "--break") or len(sys.argv) > 2:
        raise SystemExit(__doc__)
    rows = wanted()
    text = "/* Golden table of the public headers; written by scripts/abi_golden.py, never by hand. */\n"
    last = None
    for header, line in rows:
        if header != last:
            text += "\n/* viaduct/%s */\n" % header
            last = header
        text += line + "\n"
    try:
        with open(TABLE, encoding="utf-8") as f:
            old = f.read()
    except FileNotFoundError:
        old = ""
    was = [l for l in old.splitlines() if re.match(r"(SIZE|MEMBER|VALUE)\(", l)]
    now = {tuple(key(line)): line for _, line in rows}
    broken = 0
    for line in was:
        found = now.get(tuple(key(line)))
        if found != line and not (mode == "" and may_grow(line, found)):
            print("%s: now %s" % (line, found or "gone"), file=sys.stderr)
            broken += 1
    if mode == "--check":
        missing = [line for _, line in rows if line not in was]
        for line in missing:
            print("not in the table: " + line, file=sys.stderr)
        return 1 if broken or missing else 0
    if broken and mode != "--break":
        print("nothing written: the ABI may grow, not change", file=sys.stderr)
        return 1
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write(text)
    return 0


sys.exit(main())
