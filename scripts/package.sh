#!/bin/bash
# package.sh [FORMAT...]: packages of deb, rpm, archive and windows, or of all four, in build/packages/, with SHA256SUMS.
#
# Two builds of the same commit give the same bytes: the time in everything is that of the commit.
# RELEASE counts packages of one version, from 1; OUT is where they go; CMake gets OPTIONS. Without git (in an archive of the
# source) SOURCE_DATE_EPOCH has to be said, and rpm cannot be made: the source RPM holds a commit.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- deb rpm archive windows
umask 022
unset DISPLAY
# A directory that belongs to a repository further up is no commit of this project.
if [ -e .git ]; then
	SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
elif [ -z "${SOURCE_DATE_EPOCH:-}" ] || [[ " $* " == *" rpm "* ]]; then
	echo 'package.sh: this is no clone of the repository: set SOURCE_DATE_EPOCH, and leave out the format rpm' >&2
	exit 1
fi
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C.UTF-8
out=${OUT:-$PWD/build/packages}
read -ra options <<<"-DVIADUCT_PACKAGE_RELEASE=${RELEASE:-1} ${OPTIONS:-}"
mkdir -p "$out"
rm -f "$out"/SHA256SUMS* # and a signature: of the last packages

# cpack in one build directory; archives keep the owner's name, so everybody is root.
pack() {
	local build=$1 generator run=()

	shift
	[ "$(id -u)" -eq 0 ] || run=(fakeroot)
	rm -rf "$build/packages"
	for generator in "$@"; do
		"${run[@]}" cpack --config "$build/CPackConfig.cmake" -G "$generator"
	done
	find "$build/packages" -maxdepth 1 -type f ! -name '*.json' -exec cp -p {} "$out/" \;
}

# Bytes of what a package installs as programs, library and modules, without debug symbols.
sizes() {
	printf '\nbytes, stripped (%s):\n' "$1"
	find "$2/packages/_CPack_Packages" \( -name '*.so' -o -name '*.so.*' -o -name 'viaduct' -o -name 'viaductd' \
		-o -name '*.dll' -o -name '*.exe' \) -type f ! -path '*/bash-completion/*' -printf '%10s  %f\n' |
		sort -u -k2
}

for format in "$@"; do
	printf '\n== %s\n' "$format"
	build=build/package-$format
	cmake --preset "package-$format" "${options[@]}"
	cmake --build --preset "package-$format"
	case $format in
	deb) rm -f "$out"/*.deb; pack "$build" DEB ;;
	rpm) rm -f "$out"/*.rpm; pack "$build" RPM; packaging/rpm/source.sh "$build" "$out" ;;
	archive) rm -f "$out"/*.tar.*; pack "$build" External ;;
	windows) rm -f "$out"/*.msi "$out"/*.zip; pack "$build" External ;;
	esac
	sizes "$format" "$build"
done
cd "$out"
sha256sum -- * >SHA256SUMS.new
mv SHA256SUMS.new SHA256SUMS
printf '\n'
ls -l
