#!/bin/bash
# base.sh: makes build/package-test/base.tar, a small Debian of the release that runs here, with what scriptlets call
# (systemctl, systemd-sysusers, systemd-tmpfiles, adduser). Made once; tests of packages unpack it as their root.
#
# DEBIAN_MIRROR: where debootstrap loads from.
set -euo pipefail
umask 022
cd "$(dirname "$0")/../.."
tar=$PWD/build/package-test/base.tar
[ ! -s "$tar" ] || exit 0
[ "$(id -u)" -eq 0 ] || { echo 'base.sh: debootstrap needs root' >&2; exit 1; }

mkdir -p "$(dirname "$tar")"
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
suite=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
debootstrap --variant=minbase --include=adduser,systemd "$suite" "$root/base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
	>"$root/log" 2>&1 || { tail -n 20 "$root/log" "$root/base/debootstrap/debootstrap.log" >&2; exit 1; }
rm -rf "$root"/base/var/cache/apt/archives/*.deb "$root"/base/dev/*
tar -C "$root/base" --numeric-owner --one-file-system -cf "$tar.new" .
mv "$tar.new" "$tar"
