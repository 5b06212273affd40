#!/bin/sh
# coverage.sh: the tests with gcov; prints a summary, writes build/coverage/report/index.html and .xml.
set -eu
cd "$(dirname "$0")/.."
build=build/coverage
find "$build" -name '*.gcda' -delete 2>/dev/null || true
status=0
scripts/test.sh coverage || status=$?
[ -e "$build/results.xml" ] || exit 1 # not even built
mkdir -p "$build/report"
gcovr -r . --object-directory "$build" --filter '(core|transports|codecs|services|tools|include)/' \
	--exclude-unreachable-branches --print-summary \
	--html-details "$build/report/index.html" --xml "$build/report/cobertura.xml" "$build"
exit "$status"
