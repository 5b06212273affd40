#!/bin/bash
# fuzz_ci.sh BIN_DIR OUT_DIR SECONDS JOBS: runs every BIN_DIR/fuzz_* under AFL++, JOBS at a time.
# Inputs are in fuzz/corpus/<name>/, a dictionary may be in fuzz/<name>.dict. Fails when one of them crashed,
# hung, or hardly ran: afl-fuzz itself ends with 0 after a crash.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
seconds=$3
jobs=$4
export here out seconds
export AFL_NO_UI=1 AFL_QUIET=1 AFL_NO_COLOR=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1
export AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_FORKSRV_INIT_TMOUT=20000
export ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=0:allocator_may_return_null=1

run_one() {
	local program=$1 name=${1##*/fuzz_} status bad=0 executions crashes hangs
	local work=$out/$name log=$out/$name.log dictionary=()
	local stats=$work/default/fuzzer_stats

	stat_of() { sed -n "s/^$1 *: //p" "$stats" 2>/dev/null; }

	rm -rf "$work"
	[ -f "$here/$name.dict" ] && dictionary=(-x "$here/$name.dict")
	# -c 0: the program is its own CmpLog program
	timeout -k 5 $((seconds + 90)) afl-fuzz -V "$seconds" -m none -t 1000+ -c 0 -i "$here/corpus/$name" \
		-o "$work" "${dictionary[@]}" -- "$program" >"$log" 2>&1 </dev/null
	status=$?
	executions=$(stat_of execs_done)
	crashes=$(stat_of saved_crashes)
	hangs=$(stat_of saved_hangs)
	[ "$status" -eq 0 ] && [ "${executions:-0}" -gt 1000 ] || bad=1
	[ "${crashes:-1}" = 0 ] && [ "${hangs:-1}" = 0 ] || bad=1
	printf '%-20s %s runs (%s/s), corpus %s, crashes %s, hangs %s%s\n' "$name" "${executions:-no}" \
		"$(stat_of execs_per_sec)" "$(stat_of corpus_count)" "${crashes:-?}" "${hangs:-?}" \
		"$([ $bad = 0 ] || echo ', FAILED')"
	[ $bad = 0 ] || { tail -n 15 "$log" | sed 's/^/    /'; find "$work" -path '*/crashes/id*' -o -path '*/hangs/id*'; }
	return $bad
}
export -f run_one

shopt -s nullglob
programs=("$bin"/fuzz_*)
if [ ${#programs[@]} -eq 0 ]; then
	echo "fuzz_ci.sh: there is no fuzz program in $bin" >&2
	exit 1
fi
if ! nm "${programs[0]}" | grep -q __asan_init; then
	echo "fuzz_ci.sh: ${programs[0]} was built without sanitizers; build it with: cmake --build --preset afl" >&2
	exit 1
fi
printf '%s\n' "${programs[@]}" | xargs -P "$jobs" -I{} bash -c 'run_one {}'
