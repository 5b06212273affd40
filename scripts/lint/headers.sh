#!/bin/sh
# headers.sh C_COMPILER CXX_COMPILER: each public header compiles alone as C11, C17 and C++17.
set -eu
cd "$(dirname "$0")/../../include"
cc=$1
cxx=$2
failed=0
n=0

try() { # header, compiler, language, standard
	echo "#include <$1>" |
		"$2" -x "$3" -std="$4" -I. -Wall -Wextra -Wpedantic -Werror -fsyntax-only - ||
		{ echo "<$1> does not compile alone: $2 -std=$4" >&2; failed=1; }
	n=$((n + 1))
}

for header in $(find viaduct -name '*.h' | sort); do
	try "$header" "$cc" c c11
	try "$header" "$cc" c c17
	try "$header" "$cxx" c++ c++17
done
[ "$n" -gt 0 ] || { echo "no headers found" >&2; exit 1; }
[ "$failed" -eq 0 ] || exit 1
echo "$n compilations, $cc and $cxx"
