#!/usr/bin/env python3
"""test_summary.py RESULTS.xml CTEST_STATUS: counts single tests and prints "N passed, N failed".

A ctest that ran Criterion (or our subset of it) or Python's unittest counts as many tests as its closing line
names; any other ctest counts as one. Exits with 1 when something failed, when nothing ran, or when ctest says so.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

CLOSING = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+)")
PYTHON = re.compile(r"^Ran (\d+) tests? in .*?^(?:OK|FAILED)(?: \(([^)]*)\))?", re.M | re.S)
HELPERS = ("wine.up", "wine.down")  # fixtures, no tests


def closings(text):
    """(passed, failed) of every closing line in the output of a ctest."""
    found = [(int(passed), int(failed)) for _, passed, failed in CLOSING.findall(text)]
    for ran, remarks in PYTHON.findall(text):
        numbers = {word: int(n) for word, n in re.findall(r"(\w+)=(\d+)", remarks)}
        failed = numbers.get("failures", 0) + numbers.get("errors", 0)
        found.append((max(0, int(ran) - failed - numbers.get("skipped", 0)), failed))
    return found


def count(case):
    """(passed, failed, skipped) of one ctest."""
    status = case.get("status")
    closing = closings(case.findtext("system-out") or "")
    if not closing:
        if status == "run":
            return (1, 0, 0)
        if status in ("notrun", "disabled") and case.find("failure") is None:
            return (0, 0, 1)
        return (0, 1, 0)
    passed = sum(c[0] for c in closing)
    failed = sum(c[1] for c in closing)
    if status != "run" and failed == 0:  # timed out, or a sanitizer complained after the verdict
        failed = 1
    return (passed, failed, 0)


def main():
    path, status = sys.argv[1], int(sys.argv[2])
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"no results: {error}")
        print("0 passed, 1 failed")
        return 1
    passed = failed = 0
    for case in cases:
        if case.get("name") in HELPERS and case.get("status") == "run":
            continue
        n_passed, n_failed, n_skipped = count(case)
        passed += n_passed
        failed += n_failed
        if n_failed:
            print(f"failed: {case.get('name')}")
        if n_skipped:
            print(f"skipped: {case.get('name')}")
    if status != 0 and failed == 0:
        print(f"failed: ctest ended with status {status}")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
