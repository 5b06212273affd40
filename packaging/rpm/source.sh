#!/bin/bash
# source.sh BUILD OUT: the source RPM of the commit, with the spec of the build directory BUILD, into OUT.
#
# The header has the spec as rpm understood it, directories included: the ones named here are the same wherever this runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
spec=$1/packaging/viaduct.spec out=$(realpath "$2")
version=$(sed -n 's/^Version: //p' "$spec")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive --format=tar --prefix="viaduct-$version/" HEAD | gzip -9n >"$work/viaduct-$version.tar.gz"
cp "$spec" "$work"
touch -d "@$SOURCE_DATE_EPOCH" "$work"/*
cd "$work"
rpmbuild -bs --define '_topdir /usr/src/rpm' --define '_sourcedir .' --define "_srcrpmdir $out" \
	--define 'use_source_date_epoch_as_buildtime 1' --define '_buildhost reproducible.invalid' \
	viaduct.spec
