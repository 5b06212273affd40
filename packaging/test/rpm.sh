#!/bin/bash
# rpm.sh - the RPMs in a Debian of their own, with their scriptlets: installed, run, upgraded, erased; the source RPM is
# built. Needs root.
format=rpm
[ "$(id -u)" -eq 0 ] || { echo 'rpm.sh: needs root, for a Debian of its own with mounts' >&2; exit 1; }
# Mounts and processes end with the script, whatever happens to it.
[ "${INSIDE:-}" = rpm ] || INSIDE=rpm exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
. "$(dirname "$0")/lib.sh"

rpms=("$packages"/*.x86_64.rpm)
mapfile -t names < <(basename -a "${rpms[@]}" | sed "s/-$version-$release\.x86_64\.rpm$//")
source=$packages/viaduct-$version-$release.src.rpm
unit=/etc/systemd/system/multi-user.target.wants/viaductd.service
modules=/usr/lib64/viaduct/1
examples=/usr/share/doc/viaduct-devel/examples
. packaging/test/root.sh

rpm_of_root() { # Debian's rpm warns of being used, unless told
	local force=

	[[ $1 != -[iUe]* ]] || force=--force-debian
	rpm --root "$root" --dbpath /var/lib/rpm $force "$@"
}

changes() { # the root with a scriptlet that fails says so, and rpm does not
	local output status=0

	output=$(rpm_of_root "$@" 2>&1) || status=$?
	printf '%s\n' "$output"
	! grep -q 'scriptlet failed' <<<"$output" && return $status
}

make_root() {
	unpack_root && mkdir -p "$root/var/lib/rpm" && rpm --root "$root" --dbpath /var/lib/rpm --initdb || return 1
	# Directories that an RPM distribution has; its loader looks into the first by itself.
	mkdir -p "$root"/usr/lib64/{cmake,pkgconfig} "$root/usr/share/licenses"
	echo /usr/lib64 >"$root/etc/ld.so.conf.d/lib64.conf" && inside ldconfig
}

distribution() {
	rpmbuild -bb --define "_topdir $work/distribution" --define "from $root" packaging/test/distribution.spec &&
		rpm_of_root -i --justdb "$work"/distribution/RPMS/*/*.rpm
}

files() { # of the root: what a package leaves behind would be seen here
	{
		find "$root" -xdev \( -path "$root/var/lib/rpm" -o -path "$root/run" \) -prune -o -printf '/%P\n'
		find "$root/run" -xdev -path "$root/run/*viaduct*" -printf '/run/%P\n'
	} | sort
}

# -- as they are --------------------------------------------------------------------------------------

check "rpmlint finds nothing but what packaging/rpm/rpmlint.toml explains" \
	says ' 0 errors, 0 warnings' rpmlint -c packaging/rpm/rpmlint.toml "${rpms[@]}" "$source"
one_source() {
	[ "$(rpm -qp --qf '%{sourcerpm}\n' "${rpms[@]}" | sort -u)" = "$(basename "$source")" ]
}
check "every package names the source RPM" one_source

# -- installed ----------------------------------------------------------------------------------------

check "a root to install into" make_root
refused "without a distribution nothing is installed" 'libc\.so\.6.* is needed by' rpm_of_root -i "${rpms[@]}"
check "a distribution that provides what it has" distribution
files >"$work/before"
check "rpm installs all packages, with their scriptlets" changes -i "${rpms[@]}"
check "rpm finds every file as it was packed" rpm_of_root -V "${names[@]}"
only_own() { # what the packages own was not there before, and nothing has two owners
	rpm_of_root -ql "${names[@]}" | sort >"$work/owned"
	! uniq -d "$work/owned" | grep . && ! comm -12 "$work/owned" "$work/before" | grep .
}
check "each file and directory has one owner, and none is the distribution's" only_own
# What the tools that make users keep beside their files; the user stays, for files may be his.
kept='^\s*/etc/((group|gshadow|passwd|shadow|subgid|subuid)-|\.pwd\.lock)$'
all_owned() {
	files | comm -13 "$work/before" - | comm -23 - "$work/owned" | grep -Evx "$unit" | grep -Ev "$kept" && return 1
	return 0
}
check "what was installed is owned by a package" all_owned
check "the loader knows the library" says 'libviaduct\.so\.1 .*/usr/lib64/' inside ldconfig -p
check "the user of the daemon" says '^viaduct:.*:Viaduct daemon:.*nologin' inside getent passwd viaduct
check "the run directory" says '^1775 root viaduct$' inside stat -c '%a %U %G' /run/viaduct
check "the configuration is for the daemon only" says '^640 root viaduct$' inside stat -c '%a %U %G' /etc/viaduct/viaductd.conf
check "the unit is enabled, as this Debian's presets say" test -L "$root$unit"
check "manual page" says 'viaduct' inside zcat /usr/share/man/man1/viaduct.1.gz
check "viaduct modules finds every module that was installed" all_modules
provided() { # what a module says that it is, by the package of its file
	local found kind names name file

	found=$(inside viaduct modules | sed -En 's,^found +[^ ]+ +[^ ]+ +([^ ]+) ([^ ]+) .* (/[^ ]+) *$,\1 \2 \3,p')
	[ -n "$found" ] || return 1
	while read -r kind names file; do
		for name in ${names//,/ }; do
			[ "$(rpm_of_root -q --whatprovides "viaduct-$kind($name)")" = "$(rpm_of_root -qf "$file")" ] ||
				{ echo "$file: expected that its package provides viaduct-$kind($name)"; return 1; }
		done
	done <<<"$found"
}
check "the package of each module provides it by name" provided
check "locks of the packages agree with sha256sum" inside sh -c "cd $modules && sha256sum -c --strict modules.lock.d/*.lock"
check "the configuration is valid" inside viaductd --check
check "viaductd as user viaduct answers root" start_daemon
check "over ring" answers 0x10000
check "a user of the group viaduct is answered" in_group
refused "another user is refused, and told why" 'increment.sock: .*[Pp]ermission' as nobody viaduct call increment 1

# -- a transport by its package alone, while the daemon runs ------------------------------------------

without_shm() {
	changes -e viaduct-transport-shm && answers 0x1
}
check "without viaduct-transport-shm the call is over uds" without_shm
check "... and says why" says 'no upgrade here: none of [0-9]+ module files provides one in /usr/lib64' inside viaduct call --explain increment 41
check "... and the daemon's log says that it is gone" logged 'org.viaduct.ring.*gone'
with_shm() {
	changes -i "$packages/viaduct-transport-shm-$version-$release.x86_64.rpm" && answers 0x10000
}
check "with it again, over ring" with_shm

# -- locked modules -----------------------------------------------------------------------------------

check "modules.policy = locked: works with the packages' locks" lock
check "... and a module with one byte flipped is refused by name" flipped
refused "... which rpm sees as well" "^..5.* $modules/service-increment.so" rpm_of_root -V viaduct-services
unlocked() {
	flip service-increment.so && unlock
}
check "... and without the policy all is as before" unlocked

# -- built against ------------------------------------------------------------------------------------

check "examples/client, by find_package(viaduct), calls the daemon" client_by_cmake
check "examples/client, by pkg-config, calls the daemon" client_by_pkg_config
check "viaduct check finds nothing wrong with an installed transport" inside viaduct check $modules/ring.so

# -- upgraded -----------------------------------------------------------------------------------------

upgrade() {
	cpack --config build/package-rpm/CPackConfig.cmake -G RPM -B "$work/next" -D CPACK_RPM_PACKAGE_RELEASE=$((release + 1)) \
		-D "CPACK_PRE_BUILD_SCRIPTS=$PWD/packaging/stage.cmake;$PWD/packaging/test/next.cmake" &&
		printf '# edited here\n' >>"$root/etc/viaduct/viaductd.conf" && changes -U "$work"/next/*.rpm
}
kept() {
	grep -q '^# edited here' "$root/etc/viaduct/viaductd.conf" &&
		grep -q 'next release' "$root/etc/viaduct/viaductd.conf.rpmnew" && [ -L "$root$unit" ]
}
check "rpm upgrades all packages to a higher release" upgrade
check "the configuration that was edited is kept, the new one is beside it" kept
check "the upgraded daemon answers" restart_daemon

# -- erased -------------------------------------------------------------------------------------------

refused "libviaduct1 alone cannot go" 'libviaduct1.* is needed by .*viaduct-transport-uds' rpm_of_root -e libviaduct1
erased() { # the edited configuration is the operator's
	stop_daemon && changes -e "${names[@]}" &&
		rm "$root/etc/viaduct/viaductd.conf.rpmsave" "$root/etc/viaduct/viaductd.conf.rpmnew" && rmdir "$root/etc/viaduct" ||
		return 1
	files >"$work/after"
	! comm -3 "$work/before" "$work/after" | grep -Ev "$kept"
}
check "erased: nothing is left but the edited configuration" erased
disabled() {
	mkdir -p "$root/etc/systemd/system-preset" && echo 'disable viaductd.service' >"$root/etc/systemd/system-preset/00-test.preset" &&
		changes -i "${rpms[@]}" && [ ! -L "$root$unit" ] && changes -e "${names[@]}"
}
check "installed where presets disable the unit: it is not enabled" disabled
without_systemd() { # for the scriptlets
	inside userdel viaduct && for tool in systemctl systemd-sysusers systemd-tmpfiles; do
		mv "$root/usr/bin/$tool" "$root/usr/bin/$tool.away" || return 1
	done
	changes -i "${rpms[@]}" && inside id -u viaduct && [ ! -L "$root$unit" ] && changes -e "${names[@]}"
}
check "without systemd: installed, user made, erased" without_systemd

# -- built from source --------------------------------------------------------------------------------

rebuilt=$work/rebuilt
rebuild() { # Debian's database knows no package that the build requires
	rpmbuild --rebuild --nodeps --define "_topdir $rebuilt" "$source"
}
# What a package says of itself and of its files. Debug symbols are rpm's there; how the payload is packed is rpm's choice,
# and so is the mode of shared objects.
facts() {
	rpm -qp --requires "$1" | grep -v '^rpmlib(Payload'
	rpm -qp --provides --recommends --changelog --qf '%{summary}\n%{description}\n%{license}\n%{sourcerpm}\n' "$1"
	rpm -qp --scripts "$1" | grep .
	rpm -qp --qf '[%{filenames} %{filemodes:perms} %{fileusername} %{filegroupname} %{fileflags:fflags}\n]' "$1" |
		sed -E 's/(\.so[.0-9]*) -r..r..r../\1 mode/'
}
same_packages() {
	local name

	diff <(basename -a "${rpms[@]}") <(basename -a "$rebuilt"/RPMS/*/*.rpm) || return 1
	for name in "${names[@]}"; do
		[ "$name" = viaduct-debuginfo ] && continue
		diff <(facts "$packages/$name-$version-$release.x86_64.rpm") <(facts "$rebuilt/RPMS/x86_64/$name-$version-$release.x86_64.rpm") ||
			{ echo "in $name"; return 1; }
	done
}
locks_agree() {
	local file

	mkdir "$rebuilt/tree"
	for file in "$rebuilt"/RPMS/*/*.rpm; do
		rpm2cpio "$file" | (cd "$rebuilt/tree" && cpio -idmu --quiet) || return 1
	done
	(cd "$rebuilt/tree$modules" && sha256sum -c --strict modules.lock.d/*.lock) || return 1
	find "$rebuilt/tree/usr/lib/debug" -name '*.debug' | grep -q .
}
check "the source RPM is built by rpmbuild" rebuild
check "... and gives the same ${#names[@]} packages: files, owners, dependencies, scriptlets" same_packages
check "... with debug symbols, and locks of what is in them" locks_agree
