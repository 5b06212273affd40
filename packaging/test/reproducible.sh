#!/bin/bash
# reproducible.sh - the same commit, built elsewhere under a longer name, gives the same packages.
format=reproducible
. "$(dirname "$0")/lib.sh"
read -ra formats <<<"${FORMATS:-deb rpm archive windows}"
there=$work/a-directory-with-a-longer-name/viaduct

build_there() {
	git clone -q . "$there" && (cd "$there" && scripts/package.sh "${formats[@]}")
}
same() { # PATTERN: what matches it
	local names

	mapfile -t names < <(cd "$packages" && compgen -G "$1")
	[ ${#names[@]} -gt 0 ] &&
		diff <(cd "$packages" && sha256sum -- "${names[@]}") <(cd "$there/build/packages" && sha256sum -- "${names[@]}")
}

clean() {
	[ -z "$(git status --porcelain --untracked-files=no)" ] || { git status --short; return 1; }
}
check "what is packaged is what is committed" clean
check "the same commit is built in another directory" build_there
for f in "${formats[@]}"; do
	case $f in
	deb) check "DEBs are the same" same '*.deb' ;;
	rpm) check "RPMs and their source are the same" same '*.rpm' ;;
	archive) check "archives are the same" same '*linux*.tar.gz' ;;
	windows) check "MSI and ZIP are the same" same '*windows*' ;;
	esac
done
check "SHA256SUMS is right" env -C "$packages" sha256sum -c --strict --quiet SHA256SUMS
