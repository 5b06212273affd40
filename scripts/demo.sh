#!/bin/sh
# demo.sh [BUILD_DIR] - the main job on real data, from nothing to nothing: what `make run` shows.
#
# Starts the daemon on a run directory of its own, calls three services, shows what was negotiated and
# loaded, and stops it. Exit status 0 only if every step was as it should be.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/release}
VIADUCT_MODULE_PATH=$(cd "$build/lib/viaduct/1" && pwd)
export VIADUCT_MODULE_PATH
viaduct=$build/bin/viaduct
viaductd=$build/bin/viaductd
work=$(mktemp -d "${TMPDIR:-/tmp}/viaduct-demo.XXXXXX")
run=$work/run
daemon=

say() { printf '\n== %s\n' "$*"; }

fail()
{
	printf 'demo: failed: %s\n' "$*" >&2
	exit 1
}

# Nothing may stay behind, however it ends.
clean_up()
{
	status=$?
	trap - EXIT
	if [ -n "$daemon" ] && kill "$daemon" 2>/dev/null; then
		cat <&3 >/dev/null || true
		wait "$daemon" || true
	fi
	rm -rf "$work"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Shows the daemon's log up to a line that contains $1. The log is a pipe: reading it waits, and its end
# is the daemon's.
log_until()
{
	while IFS= read -r line <&3; do
		printf '%s\n' "$line"
		case $line in *"$1"*) return 0 ;; esac
	done
	return 1
}

call() { "$viaduct" call --run-dir "$run" --timeout 20s "$@"; }

say "modules found; nothing of them is loaded"
"$viaduct" modules
if "$viaduct" modules | awk 'NR > 1 && $1 == "found" { n++ } NR > 1 && $1 == "loaded" && $NF != "(builtin)" { bad = 1 }
	END { exit bad || n == 0 }'; then :; else
	fail "expected modules that are found and none that is loaded"
fi

say "the daemon starts"
mkfifo "$work/log"
"$viaductd" -c /dev/null --run-dir "$run" 2>"$work/log" &
daemon=$!
exec 3<"$work/log"
log_until 'ready: ' || fail "the daemon ended before it was ready"

say "control groups of this machine"
if grep -q ' - cgroup2\{0,1\} ' /proc/self/mountinfo; then
	call cgroups-snapshot >"$work/cgroups"
	sed -n '1,25p' "$work/cgroups"
	rows=$(sed -n 's/^rows: //p' "$work/cgroups")
	[ "$rows" -gt 0 ] || fail "expected at least one control group"
	[ "$rows" -le 21 ] || echo "... $rows in all"
else
	echo "no control group file system is mounted here"
fi

say "increment 41"
answer=$(call increment 41)
echo "$answer"
[ "$answer" = 42 ] || fail "expected 42"

say "string-reverse abc"
answer=$(call string-reverse abc)
echo "$answer"
[ "$answer" = cba ] || fail "expected cba"

say "what was negotiated"
call --explain increment 1 2>&1 >/dev/null | tee "$work/explain"
grep -q '^profile selected: *0x' "$work/explain" || fail "expected a selected profile"

say "modules loaded now, from the daemon's log"
kill -USR1 "$daemon"
log_until 'report: ' | tee "$work/report"
grep -q 'service.increment .* is loaded' "$work/report" || fail "expected the module of increment to be loaded"

say "the daemon stops"
kill -TERM "$daemon"
cat <&3
status=0
wait "$daemon" || status=$?
daemon=
[ "$status" -eq 0 ] || fail "the daemon's exit status is $status"
if [ -d "$run" ]; then
	[ -z "$(ls -A "$run")" ] || fail "left in the run directory: $(ls -A "$run")"
	fail "the run directory that the daemon made is still there"
fi
echo "exit status 0, run directory gone"
