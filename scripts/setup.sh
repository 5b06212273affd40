#!/bin/sh
# setup.sh GROUP...: makes sure that the Debian packages of the groups are there.
#
# As root it installs what is missing, and only that; otherwise it says what is missing and how to get it.
# Where there is no dpkg it looks for the commands instead and leaves installing to the user.
set -eu

packages_of() {
	case "$1" in
	build) echo gcc libc6-dev cmake ninja-build ;;
	test) echo pkg-config libcriterion-dev python3 spin ;;
	windows) echo gcc-mingw-w64-x86-64-win32 wine wine64 ;;
	fuzz) echo afl++ clang libclang-rt-14-dev ;;
	coverage) echo gcovr ;;
	bench) echo clang binutils git gnuplot-nox libnng-dev libzmq3-dev python3 ;;
	package) echo binutils dpkg-dev fakeroot faketime file git msitools pkg-config rpm wixl zip ;;
	package-test) echo cpio debootstrap debugedit elfutils lintian make rpmlint unzip ;;
	doc) echo doxygen ;;
	lint) echo clang clang-format clang-tidy cppcheck g++ g++-mingw-w64-x86-64-win32 mandoc python3 shellcheck ;;
	*) echo "setup.sh: unknown group '$1'" >&2; exit 2 ;;
	esac
}

commands_of() {
	case "$1" in
	build) echo gcc cmake ninja ;;
	test) echo pkg-config python3 spin ;;
	windows) echo x86_64-w64-mingw32-gcc-win32 wine ;;
	fuzz) echo afl-fuzz afl-clang-fast ;;
	coverage) echo gcovr ;;
	bench) echo clang git gnuplot python3 size ;;
	package) echo dpkg-deb fakeroot faketime file git msibuild rpmbuild strip wixl zip ;;
	package-test) echo cpio debootstrap debugedit eu-strip lintian make rpmlint unzip ;;
	doc) echo doxygen ;;
	lint) echo clang clang-format clang-tidy cppcheck g++ mandoc python3 shellcheck ;;
	esac
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

check_commands() {
	for group in "$@"; do
		for command in $(commands_of "$group"); do
			command -v "$command" >/dev/null || missing="$missing $command"
		done
	done
	[ -z "$missing" ] || { echo "not found:$missing; please install what provides them" >&2; exit 1; }
}

missing=""
if ! command -v dpkg-query >/dev/null; then
	check_commands "$@"
	exit 0
fi
for group in "$@"; do
	packages=$(packages_of "$group")
	for package in $packages; do
		is_installed "$package" || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "missing packages:$missing" >&2
	echo "install them with: sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q </dev/null
# shellcheck disable=SC2086 # one word for each package
apt-get install -y -q --no-install-recommends $missing </dev/null
