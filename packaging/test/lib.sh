# lib.sh - for the tests of packages: each check is a line of the table at the end, and the first that fails ends its test.
#
# A test sources this after setting `format`; packages are in $packages, a directory for its work is $work.
set -euo pipefail
umask 022
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C.UTF-8
version=$(sed -n 's/^project(viaduct VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
release=${RELEASE:-1} # as scripts/package.sh was told
packages=$PWD/build/packages
[ -s "$packages/SHA256SUMS" ] || { echo "$format: expected packages and SHA256SUMS in $packages: make package" >&2; exit 1; }
work=$PWD/build/package-test/$format
results=$PWD/build/package-test/$format.results
rm -rf "$work"
mkdir -p "$work"
: >"$results"

checking=
clean() { :; } # a test that has something to stop replaces it

# Whatever ends the script: the check that it was in has failed.
finish() {
	local status=$?

	if [ -n "$checking" ]; then
		printf 'FAILED\t%s\t%s\n' "$format" "$checking" >>"$results"
		printf '%s: %s: status %d\n' "$format" "$checking" "$status" >&2
		sed 's/^/  | /' "$work/output" >&2
		status=1
	fi
	clean
	exit "$status"
}
trap finish EXIT

# check WHAT COMMAND...: runs it; its output is shown when it fails. It stands in no condition, so that a function ends at
# the first of its commands that fails, and the script with it.
check() {
	checking=$1
	shift
	"$@" >"$work/output" 2>&1 </dev/null
	printf 'ok\t%s\t%s\n' "$format" "$checking" >>"$results"
	printf 'ok  %s: %s\n' "$format" "$checking"
	checking=
}

# refused WHAT TEXT COMMAND...: it must fail, and say TEXT (a regular expression).
refused() {
	local what=$1 text=$2

	shift 2
	check "$what" fails_with "$text" "$@"
}

fails_with() {
	local text=$1 output

	shift
	if output=$("$@" 2>&1); then
		printf 'expected a failure that says "%s", found success: %s\n' "$text" "$output"
		return 1
	fi
	says "$text" printf '%s\n' "$output"
}

# says TEXT COMMAND...: it succeeds and its output, errors too, has TEXT (a regular expression).
says() {
	local text=$1 output

	shift
	output=$("$@" 2>&1) || { printf '%s\n' "$output"; return 1; }
	grep -Eq -- "$text" <<<"$output" && return
	printf 'expected "%s", found: %s\n' "$text" "$output"
	return 1
}

# soon COMMAND...: it succeeds within 20 seconds.
soon() {
	local end=$((SECONDS + 20))

	until "$@"; do
		[ $SECONDS -lt $end ] || { printf 'not within 20 seconds: %s\n' "$*"; return 1; }
		read -rt 0.1 <> <(:) || :
	done
}
