#!/bin/sh
# test.sh PRESET: configures, builds and tests one preset; the last line says "N passed, N failed".
set -eu
cd "$(dirname "$0")/.."
preset=$1
build=build/$preset

rm -f "$build/results.xml" "$build"/junit/*.xml
cmake --preset "$preset"
cmake --build --preset "$preset"
status=0
ctest --preset "$preset" --output-junit results.xml \
	--test-output-size-passed 1000000 --test-output-size-failed 1000000 </dev/null || status=$?
python3 scripts/test_summary.py "$build/results.xml" "$status"
