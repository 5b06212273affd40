#!/bin/bash
# run.sh [FORMAT...]: installs, runs, upgrades and removes what build/packages/ holds; ends with a table of what was checked.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
[ $# -gt 0 ] || set -- deb rpm archive windows
export FORMATS="$*"
set -- "$@" reproducible
root=../../build/package-test
mkdir -p $root
status=0

for format in "$@"; do
	printf '\n== %s\n' "$format"
	rm -f "$root/$format.results"
	"./$format.sh" || status=1
	[ -s "$root/$format.results" ] || printf 'FAILED\t%s\tnothing was checked\n' "$format" >"$root/$format.results"
done
table=$(for format in "$@"; do cat "$root/$format.results"; done)
printf '\n%s\n' "$(column -t -s "$(printf '\t')" <<<"$table")"
failed=$(grep -c '^FAILED' <<<"$table")
printf '\n%d passed, %d failed\n' "$(grep -c '^ok' <<<"$table")" "$failed"
[ "$failed" -eq 0 ] && exit $status
exit 1
