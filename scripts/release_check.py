#!/usr/bin/env python3
"""release_check.py [--tag vX.Y.Z | --notes]: whether this tree may be released, and as what.

Without an option: version, module ABI and CHANGES.md agree with each other (what lint asks).
--tag    also that the tag is the version's, that its changes have a date and are not empty, that nothing is
         uncommitted, that no other commit has the tag already, and that the module ABI has only grown since
         the release before, from 1.0.0 on
--notes  prints the changes of the version, for the text of a release
"""
import argparse
import datetime
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Where a second copy of the version may stand; CHANGES.md has rules of its own.
PLACES = ("CMakeLists.txt", "Makefile", "README.md", "CONTRIBUTING.md", ".github", "cmake", "core", "docs", "include",
          "packaging", "tools")
COPIES = (re.compile(r"\b(?:lib)?viaduct[\w-]*?[ _/=(-]+v?(\d+\.\d+\.\d+)\b(?!\.)", re.I),
          re.compile(r"^(?:%(?:define|global)\s+)?version\s*:?\s+(\d+\.\d+\.\d+)\b", re.I),
          re.compile(r"VERSION[ \t\"'=(]+v?(\d+\.\d+\.\d+)\b"),
          re.compile(r"(?:FILE|PRODUCT)VERSION\s+(\d+,\d+,\d+)"),
          re.compile(r"find_package\(viaduct\s+(\d+(?:\.\d+)*)", re.I))
UNKNOWN = "0.0.0"  # of what is built outside the project's own build
# Where the major number of the module ABI stands: part of names that must be one word in C and in CMake.
MAJORS = (("include/viaduct/abi.h", r"#define VIA_ABI_MAJOR (\d+)u"),
          ("include/viaduct/module.h", r'#define VIA_MODULE_SYMBOL "viaduct_module_v(\d+)"'),
          ("include/viaduct/module.h", r"VIA_EXPORT via_rc VIA_CALL viaduct_module_v(\d+)\("),
          ("include/viaduct/module.h", r'VIA_NOTE_MAGIC "\\0abi=(\d+)\\0"'),
          ("cmake/Options.cmake", r"set\(VIADUCT_ABI_MAJOR (\d+)\)"),
          ("cmake/CheckModule.cmake", r"set\(entry viaduct_module_v(\d+)\)"),
          ("cmake/module.map", r"\bviaduct_module_v(\d+);"),
          ("core/viaduct.map", r"\bVIADUCT_(\d+)\b"),
          ("packaging/components.cmake", r"\blibviaduct(\d+)\b"))
GOLDEN, ABI = "tests/abi/abi_golden.inc", "include/viaduct/abi.h"
HEADING = re.compile(r"## (\d+\.\d+\.\d+) \((unreleased|\d{4}-\d{2}-\d{2})\)")


def read(root, name):
    path = root / name
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def version(root):
    """The one place."""
    found = re.findall(r"^project\(viaduct VERSION (\d+\.\d+\.\d+)\s", read(root, "CMakeLists.txt"), re.M)
    if len(found) != 1:
        raise SystemExit(f"CMakeLists.txt: expected one project(viaduct VERSION X.Y.Z ...), found {len(found)}")
    return found[0]


def texts(root):
    for place in PLACES:
        path = root / place
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and file.suffix not in (".svg", ".png", ".ico"):
                yield file.relative_to(root).as_posix(), read(root, file)


def version_problems(root):
    """Every copy of the version, and of the ABI's major number, that differs from the one place."""
    right, found = version(root), []
    for name, text in texts(root):
        for number, line in enumerate(text.splitlines(), 1):
            for copy in {m.group(1).replace(",", ".") for pattern in COPIES for m in pattern.finditer(line)}:
                if copy != UNKNOWN and not f"{right}.".startswith(f"{copy}."):
                    found.append(f"{name}:{number}: says version {copy}, but project() in CMakeLists.txt {right}")
    majors = {}
    for name, pattern in MAJORS:
        for number in re.findall(pattern, read(root, name)) or ["none"]:
            majors.setdefault(number, []).append(name)
    if len(majors) != 1 or "none" in majors:
        found.append("the major number of the module ABI differs: " +
                     "; ".join(f"{number} in {', '.join(sorted(set(names)))}" for number, names in majors.items()))
    return found


def sections(root):
    """(heading, lines) for each version of CHANGES.md, the newest first."""
    parts = re.split(r"^(?=## )", read(root, "CHANGES.md"), flags=re.M)[1:]
    return [(part.splitlines()[0], [line for line in part.splitlines()[1:] if line.strip()]) for part in parts]


def changes_problems(root):
    """The top section is of this version; those below were released, each before the one above."""
    right, found, above = version(root), [], None
    all_sections = sections(root)
    if not all_sections:
        return ["CHANGES.md: no section '## X.Y.Z (unreleased)'"]
    for index, (heading, lines) in enumerate(all_sections):
        match = HEADING.fullmatch(heading)
        if match is None:
            found.append(f"CHANGES.md: expected '## X.Y.Z (unreleased)' or '## X.Y.Z (YYYY-MM-DD)', found '{heading}'")
            continue
        number, date = match.groups()
        key = tuple(map(int, number.split(".")))
        if index == 0 and number != right:
            found.append(f"CHANGES.md: the top section is of {number}, but project() in CMakeLists.txt says {right}")
        if index > 0 and (date == "unreleased" or not lines):
            found.append(f"CHANGES.md: {number} is below a newer one, but {'empty' if not lines else 'unreleased'}")
        if above is not None and key >= above:
            found.append(f"CHANGES.md: {number} is below a version that is not newer")
        above = key
    return found


def git(root, *words):
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False).stdout.strip()


def abi_of(header, table):
    """(major, minor, {what: number...}) of the module ABI."""
    numbers = [int(n) for n in re.findall(r"#define VIA_ABI_(?:MAJOR|MINOR) (\d+)u", header)]
    rows = re.findall(r"^(SIZE|MEMBER|VALUE)\((\w+(?:, [a-zA-Z_]\w*)?), (-?\d+(?:, \d+)?)\)$", table, re.M)
    return *(numbers + [-1, -1])[:2], {f"{kind} {name}": value for kind, name, value in rows}


def abi_problems(root, tag):
    """What has changed since the release before that a module of that release could not know."""
    def key(name):
        return tuple(map(int, name[1:].split(".")))

    shallow = git(root, "rev-parse", "--is-shallow-repository")
    if shallow != "false":
        what = "a shallow clone (git fetch --unshallow --tags)" if shallow == "true" else "no repository"
        return [f"the releases before: expected a whole clone, found {what}"]
    tags = [t for t in git(root, "tag", "--list", "v*", "--merged", "HEAD").split()
            if re.fullmatch(r"v\d+\.\d+\.\d+", t) and t != tag]
    before = max(tags, key=key, default=None)
    if before is None or key(before) < (1, 0, 0):
        return []
    was = abi_of(git(root, "show", f"{before}:{ABI}"), git(root, "show", f"{before}:{GOLDEN}"))
    now = abi_of(read(root, ABI), read(root, GOLDEN))
    if now[0] != was[0]:
        return []
    broken = [f"{what}: was {value}, now {now[2].get(what, 'gone')}" for what, value in was[2].items()
              if now[2].get(what) != value and
              not (what.startswith("SIZE") and int(now[2].get(what, 0)) > int(value))]
    found = [f"{GOLDEN}: the ABI may only grow since {before}: {row}" for row in broken]
    if not broken and now[2] != was[2] and now[1] <= was[1]:
        found.append(f"{ABI}: the ABI has grown since {before}, expected VIA_ABI_MINOR above {was[1]}, found {now[1]}")
    return found


def release_problems(root, tag, today):
    """What keeps this commit from being released as tag."""
    right, found = version(root), version_problems(root) + changes_problems(root)
    if tag != f"v{right}":
        found.append(f"the tag is {tag}, expected v{right}")
    heading, lines = (sections(root) or [("", [])])[0]
    match = HEADING.fullmatch(heading)
    date = match.group(2) if match else "unreleased"
    try:
        if datetime.date.fromisoformat(date) > today:
            found.append(f"CHANGES.md: {date} is not yet")
    except ValueError:
        found.append(f"CHANGES.md: expected a date of release in '{heading}'")
    if not any(line.startswith("- ") for line in lines):
        found.append(f"CHANGES.md: nothing is said of {right}")
    changed = git(root, "diff", "--name-only", "HEAD")
    if changed:
        found.append(f"not committed: {', '.join(changed.splitlines())}")
    tagged = git(root, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
    if tagged and tagged != git(root, "rev-parse", "HEAD"):
        found.append(f"the tag {tag} is of another commit, {tagged}")
    return found + abi_problems(root, tag)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--tag")
    group.add_argument("--notes", action="store_true")
    args = parser.parse_args()
    if args.tag is not None:
        found = release_problems(ROOT, args.tag, datetime.datetime.now(datetime.timezone.utc).date())
    else:
        found = version_problems(ROOT) + changes_problems(ROOT)
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    if args.notes:
        print("\n".join(sections(ROOT)[0][1]))
    else:
        print(f"viaduct {version(ROOT)}: fine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
