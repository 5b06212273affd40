#!/bin/sh
# bench/run.sh BUILD_DIR: every benchmark once, side by side with what it is compared to; prints a report.
#
# The module boundary is measured between two builds of the same tree, one with the modules of the call
# linked in, taken in turn within this run.
set -eu
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")/.." && pwd)
rounds=${ROUNDS:-9}
calls=${CALLS:-20000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
modules=$build/lib/viaduct/1
mkdir "$work/run" "$work/many"

median() { sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

echo "== round trips"
"$build/bin/bench_roundtrip" "$modules" "$work/run" "$calls" "$rounds"

echo "== module boundary"
builtin=$build/builtin
cmake -S "$source" -B "$builtin" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF -DVIADUCT_BENCH=ON \
	"-DVIADUCT_BUILTIN=uds;codec-increment;service-increment" >"$work/cmake.log"
cmake --build "$builtin" --target bench_roundtrip >>"$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }
i=0
while [ $i -lt "$rounds" ]; do
	a=$("$build/bin/bench_roundtrip" --only "$modules" "$work/run" "$calls")
	b=$("$builtin/bin/bench_roundtrip" --only "$work/many" "$work/run" "$calls")
	echo "$a $b" >>"$work/boundary"
	i=$((i + 1))
done
awk '{print $1 / $2}' "$work/boundary" | median | awk -v n="$rounds" \
	'{printf "loadable modules / builtin modules, time of a call: %.3f (median of %d pairs)\n", $1, n}'

echo "== idle"
"$build/bin/bench_idle" "$modules" "$work/run" 100 5
"$build/bin/viaductd" --run-dir "$work/run" >"$work/daemon.log" 2>&1 &
daemon=$!
tries=0
while [ ! -S "$work/run/increment.sock" ] && [ $tries -lt 100 ]; do tries=$((tries + 1)); sleep 0.05; done
awk '/^Private_/ {kb += $2} END {printf "idle viaductd: %.2f MiB of private memory\n", kb / 1024}' "/proc/$daemon/smaps_rollup"
kill "$daemon"
wait "$daemon" || { cat "$work/daemon.log"; exit 1; }

echo "== scanning"
i=0
for f in "$modules"/*; do cp "$f" "$work/many/"; done
while [ "$(ls "$work/many" | wc -l)" -lt 100 ]; do
	for f in "$modules"/*; do
		[ "$(ls "$work/many" | wc -l)" -lt 100 ] || break
		cp "$f" "$work/many/copy$i-${f##*/}"
	done
	i=$((i + 1))
done
"$build/bin/bench_scan" "$work/many"

echo "== size"
size "$build/lib/libviaduct.so" | awk 'NR == 2 {printf "libviaduct: %.0f KiB of text\n", $1 / 1024}'
