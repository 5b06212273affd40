#!/bin/bash
# deb.sh - the DEBs in a Debian of their own: installed by apt, run, built against, upgraded, removed, purged. Needs root.
format=deb
[ "$(id -u)" -eq 0 ] || { echo 'deb.sh: needs root, for a Debian of its own with mounts' >&2; exit 1; }
# Mounts and processes end with the script, whatever happens to it.
[ "${INSIDE:-}" = deb ] || INSIDE=deb exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
. "$(dirname "$0")/lib.sh"
modules=/usr/lib/x86_64-linux-gnu/viaduct/1
examples=/usr/share/doc/libviaduct-dev/examples
. packaging/test/root.sh
debs=("$packages"/*.deb)
mapfile -t names < <(basename -a "${debs[@]}" | sed 's/_.*//')
next=$((release + 1))
unit=/etc/systemd/system/multi-user.target.wants/viaductd.service

make_root() {
	unpack_root && mkdir "$root/debs" && cp "${debs[@]}" "$root/debs"
}

files() { # of the root: what a package leaves behind would be seen here
	find "$root" -xdev \( -path "$root/var/lib/dpkg" -o -path "$root/var/lib/apt" -o -path "$root/var/cache" \
		-o -path "$root/var/log" -o -path "$root/debs" -o -path "$root/run" \) -prune -o -printf '%P\n' |
		grep -v '^etc/[a-z]*-$' | sort # copies that useradd keeps
	find "$root/run" -xdev -path "$root/run/*viaduct*" -printf 'run/%P\n'
}

apt() { # nothing is downloaded: what a package needs is in the base, or among the packages
	inside apt-get -y -o Dpkg::Options::=--force-confold "$@"
}

# -- as they are --------------------------------------------------------------------------------------

check "lintian finds nothing but what packaging/deb/lintian.suppressed explains" \
	lintian --allow-root --fail-on error,warning --suppress-tags-from-file packaging/deb/lintian.suppressed "${debs[@]}"

multiarch() {
	local deb expected

	for deb in "${debs[@]}"; do
		expected=same
		[[ $deb != */viaduct_* ]] || expected=no
		[ "$(dpkg-deb -f "$deb" Multi-Arch)" = $expected ] || { echo "$deb: expected Multi-Arch: $expected"; return 1; }
	done
}
check "all but viaduct may be installed for several architectures" multiarch

# -- installed ----------------------------------------------------------------------------------------

check "a Debian to install into" make_root
files >"$work/before"
check "apt installs all packages" apt install "${debs[@]/#"$packages"//debs}"
check "dpkg finds every file as it was packed" inside dpkg -V libviaduct1 viaduct viaduct-transport-shm
check "user and run directory" says '^1775 root viaduct$' inside stat -c '%a %U %G' /run/viaduct
for_the_daemon() { # what may hold tokens
	diff <(printf '%s root viaduct\n' 750 640) <(inside stat -c '%a %U %G' /etc/viaduct /etc/viaduct/viaductd.conf)
}
check "the configuration is for the daemon only" for_the_daemon
check "the unit is as systemd expects it" inside systemd-analyze verify --man=no /lib/systemd/system/viaductd.service
check "the unit is enabled" test -L "$root$unit"
check "manual page" says 'viaduct' inside zcat /usr/share/man/man1/viaduct.1.gz
check "viaduct modules finds every module that was installed" all_modules
check "locks of the packages agree with sha256sum" inside sh -c "cd $modules && sha256sum -c --strict modules.lock.d/*.lock"
check "the configuration is valid" inside viaductd --check
check "viaductd as user viaduct answers root" start_daemon
check "over ring" answers 0x10000
check "it shows the control groups of this machine" says 'cgroups|name' inside viaduct call cgroups-snapshot
check "a user of the group viaduct is answered" in_group
refused "another user is refused, and told why" 'increment.sock: .*[Pp]ermission' as nobody viaduct call increment 1

# -- a transport by its package alone, while the daemon runs ------------------------------------------

without_shm() {
	inside dpkg -r viaduct-transport-shm && answers 0x1
}
check "without viaduct-transport-shm the call is over uds" without_shm
check "... and says why" says 'no upgrade here: none of [0-9]+ module files provides one in /usr/lib' inside viaduct call --explain increment 41
check "... and the daemon's log says that it is gone" logged 'org.viaduct.ring.*gone'
with_shm() {
	apt install "/debs/viaduct-transport-shm_$version-${release}_amd64.deb" && answers 0x10000
}
check "with it again, over ring" with_shm

# -- locked modules -----------------------------------------------------------------------------------

check "modules.policy = locked: works with the packages' locks" lock
check "... and a module with one byte flipped is refused by name" flipped
check "... which dpkg sees as well" says "^..5.* $modules/service-increment.so" inside dpkg -V viaduct-services
unlocked() {
	flip service-increment.so && unlock
}
check "... and without the policy all is as before" unlocked

# -- built against ------------------------------------------------------------------------------------

check "examples/client, by find_package(viaduct), calls the daemon" client_by_cmake
check "examples/client, by pkg-config, calls the daemon" client_by_pkg_config
check "examples/module-transport is built against libviaduct-dev" build_module module-transport
check "examples/module-service is built against libviaduct-dev" build_module module-service
check "viaduct check finds nothing wrong with the transport" inside viaduct check $modules/count.so
check "viaduct check finds nothing wrong with the service" inside viaduct check $modules/service-uptime.so
served() { # after a reload, by the daemon that runs
	kill -HUP "$daemon" && soon test -S "$root/run/viaduct/uptime.sock" && inside viaduct call uptime
}
check "the installed daemon serves it after a reload" served
decorated() {
	[ "$(inside viaduct call --transport count+uds increment 41)" = 42 ]
}
check "a call goes through the transport" decorated
not_listed() {
	lock && inside viaduct modules --why --module-policy locked | grep 'refused.*count.so.*no modules.lock' &&
		(cd "$root$modules" && sha256sum count.so service-uptime.so >modules.lock.d/own.lock) && restart_daemon &&
		inside viaduct call uptime && unlock
}
check "locked: modules of one's own are refused until a lock lists them" not_listed
rm "$root$modules"/{count.so,service-uptime.so,modules.lock.d/own.lock}

# -- upgraded -----------------------------------------------------------------------------------------

upgrade() {
	printf '# edited here\n' >>"$root/etc/viaduct/viaductd.conf"
	local newer

	RELEASE=$next OUT=$work/next scripts/package.sh deb && cp "$work"/next/*.deb "$root/debs" || return 1
	newer=("$work"/next/*.deb)
	apt install "${newer[@]/#"$work/next"//debs}"
}
kept() {
	grep -q 'edited here' "$root/etc/viaduct/viaductd.conf" && [ -L "$root$unit" ] && for_the_daemon
}
check "apt upgrades all packages to a higher release" upgrade
check "the configuration that was edited is kept" kept
check "the upgraded daemon answers" restart_daemon
aborted() { # the package stays as it is, and enabled
	inside dpkg-deb -R "/debs/viaduct_$version-${next}_amd64.deb" /debs/failing &&
		printf '#!/bin/sh\nexit 1\n' >"$root/debs/failing/DEBIAN/preinst" && chmod 755 "$root/debs/failing/DEBIAN/preinst" &&
		inside dpkg-deb -b /debs/failing /debs/failing.deb && fails_with 'preinst|pre-installation' inside dpkg -i /debs/failing.deb &&
		says '^Status: install ok installed' inside dpkg -s viaduct && answers 0x10000 && kept
}
check "an upgrade that fails leaves the package as it was" aborted
disabled() {
	inside systemctl disable viaductd.service && inside dpkg -i "/debs/viaduct_$version-${next}_amd64.deb" && [ ! -L "$root$unit" ]
}
check "a unit that was disabled stays so when the package is installed again" disabled

# -- removed ------------------------------------------------------------------------------------------

refused "libviaduct1 alone cannot go" 'depend' inside dpkg -r libviaduct1
removed() {
	stop_daemon
	inside dpkg -r "${names[@]}"
	[ -e "$root/etc/viaduct/viaductd.conf" ] && [ ! -e "$root/usr/bin/viaduct" ]
}
check "removed: the configuration stays" removed
without_systemd() { # for the scripts; /run/viaduct is made at boot
	local tool

	for tool in systemctl systemd-sysusers systemd-tmpfiles; do
		mv "$root/usr/bin/$tool" "$root/usr/bin/$tool.away" || return 1
	done
	apt install "${debs[@]/#"$packages"//debs}" && grep -q 'edited here' "$root/etc/viaduct/viaductd.conf" && for_the_daemon &&
		inside dpkg -r "${names[@]}" || return 1
	for tool in systemctl systemd-sysusers systemd-tmpfiles; do
		mv "$root/usr/bin/$tool.away" "$root/usr/bin/$tool" || return 1
	done
}
check "installed again without systemd, with that configuration, and removed" without_systemd
purged() {
	inside dpkg -P "${names[@]}"
	files >"$work/after"
	diff "$work/before" "$work/after"
}
check "purged: nothing is left" purged
