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

count() { # WORD FORMAT...
	local word=$1

	shift
	for format in "$@"; do
		cat "$root/$format.results" 2>/dev/null
	done | grep -c "^$word"
}

for format in "$@"; do
	printf '\n== %s\n' "$format"
	rm -f "$root/$format.results"
	"./$format.sh" || status=1
done
printf '\n'
for format in "$@"; do
	if [ -s "$root/$format.results" ]; then
		column -t -s "$(printf '\t')" "$root/$format.results"
	else
		printf 'FAILED  %s  nothing was checked\n' "$format"
		status=1
	fi
done
printf '\n%d passed, %d failed\n' "$(count ok "$@")" "$(count FAILED "$@")"
exit $status
