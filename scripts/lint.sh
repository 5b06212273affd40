#!/bin/sh
# lint.sh: everything that reads the source without running it. Goes on after a failure and fails at the end.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=""

check() { # name, command...
	name=$1
	shift
	printf -- '-- %s\n' "$name"
	"$@" || failed="$failed $name"
}

tidy() {
	cmake --preset tidy -DVIADUCT_BENCH=ON >build/tidy.log 2>&1 || { cat build/tidy.log; return 1; }
	cmake --build --preset tidy -- -k 0 >build/tidy.log 2>&1 && return 0
	grep -E 'error:|warning:|FAILED' build/tidy.log | sort -u
	return 1
}

cpp_check() {
	# uninitvar is wrong about arrays and out parameters; compilers and sanitizers look for the same. It takes no notice
	# of _Noreturn
	cppcheck --project=build/tidy/compile_commands.json '-D_Noreturn=__attribute__((noreturn))' --enable=warning,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=uninitvar --error-exitcode=1 --quiet -j 2
}

microsoft() {
	cmake --preset mingw >build/msvc.log 2>&1 || { cat build/msvc.log; return 1; }
	scripts/lint/msvc.py build/mingw
}

reference() {
	cmake --preset release >build/doc.log 2>&1 || { cat build/doc.log; return 1; }
	cmake --build --preset release --target doc >build/doc.log 2>&1 && return 0
	cat build/doc.log
	return 1
}

shell() {
	# SC2015: in "a && b || c", c is meant for a failure of b as well
	grep -rlE --exclude-dir=build --exclude-dir=.git '^#!/bin/(ba)?sh' . |
		xargs -d '\n' shellcheck -x -P SCRIPTDIR -e SC2015 &&
		shellcheck -s sh packaging/rpm/viaduct.* && shellcheck -s bash packaging/completion/viaduct.bash
}

mkdir -p build
check format scripts/format.sh --dry-run
check rules python3 scripts/lint/rules.py all
check headers-gcc scripts/lint/headers.sh gcc g++
check headers-clang scripts/lint/headers.sh clang clang++
check headers-mingw scripts/lint/headers.sh x86_64-w64-mingw32-gcc-win32 x86_64-w64-mingw32-g++-win32
check microsoft microsoft
check shell shell
check manual mandoc -T lint -W warning docs/man/*.[1-8]
check reference reference
check clang-tidy tidy
check cppcheck cpp_check
if [ -n "$failed" ]; then
	echo "lint failed:$failed" >&2
	exit 1
fi
echo "lint passed"
