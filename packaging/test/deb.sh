#!/bin/bash
# deb.sh - the DEBs in a Debian of their own: installed by apt, run, built against, upgraded, removed, purged. Needs root.
format=deb
# Mounts and processes end with the script, whatever happens to it.
[ "${INSIDE:-}" = deb ] || INSIDE=deb exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
. "$(dirname "$0")/lib.sh"

root=$work/root
debs=("$packages"/*.deb)
unit=/etc/systemd/system/multi-user.target.wants/viaductd.service
modules=/usr/lib/x86_64-linux-gnu/viaduct/1
daemon=
log=$work/daemon.log

inside() { # in the root, with nothing of this environment
	chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

as() { # USER COMMAND...
	local user=$1

	shift
	inside setpriv --reuid="$user" --regid="$user" --init-groups "$@"
}

make_root() {
	packaging/test/base.sh
	mkdir "$root"
	tar -C "$root" -xpf build/package-test/base.tar
	mount --rbind /dev "$root/dev"
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount -t tmpfs tmpfs "$root/run"
	mkdir "$root/debs"
	cp "${debs[@]}" "$root/debs"
}

files() { # of the root: what a package leaves behind would be seen here
	find "$root" -xdev \( -path "$root/var/lib/dpkg" -o -path "$root/var/lib/apt" -o -path "$root/var/cache" \
		-o -path "$root/var/log" -o -path "$root/debs" -o -path "$root/run" \) -prune -o -printf '%P\n' | sort
	find "$root/run" -xdev -path '*viaduct*' -printf 'run/%P\n'
}

apt() { # nothing is downloaded: what a package needs is in the base, or among the packages
	inside apt-get -y -o Dpkg::Options::=--force-confold "$@"
}

start_daemon() {
	as viaduct viaductd >>"$log" 2>&1 </dev/null &
	daemon=$!
	soon answers 0
}

stop_daemon() {
	kill "$daemon"
	wait "$daemon"
}

answers() { # PROFILE (0: any): increment 41 is 42, over that one
	local explained

	[ "$(inside viaduct call increment 41)" = 42 ] || return 1
	[ "$1" = 0 ] && return
	explained=$(inside viaduct call --explain increment 41 2>&1)
	grep -Eq "profile selected: +$1$" <<<"$explained" || { printf '%s\n' "$explained"; return 1; }
}

logged() { soon grep -q -- "$1" "$log"; }

# -- as they are --------------------------------------------------------------------------------------

check "lintian finds nothing but what packaging/deb/lintian.suppressed explains" \
	lintian --allow-root --fail-on error,warning --suppress-tags-from-file packaging/deb/lintian.suppressed "${debs[@]}"

# -- installed ----------------------------------------------------------------------------------------

check "a Debian to install into" make_root
files >"$work/before"
check "apt installs all packages" apt install $(printf '/debs/%s ' $(basename -a "${debs[@]}"))
check "dpkg finds every file as it was packed" inside dpkg -V libviaduct1 viaduct viaduct-transport-shm
check "user and run directory" says '^1775 root viaduct$' inside stat -c '%a %U %G' /run/viaduct
check "the unit is enabled" test -L "$root$unit"
check "manual page" says 'viaduct' inside zcat /usr/share/man/man1/viaduct.1.gz
all_modules() {
	local found expected

	found=$(inside viaduct modules | grep -c '^found ')
	expected=$(find "$root$modules" -name '*.so' | wc -l)
	[ "$found" -eq "$expected" ] || { echo "expected $expected modules, found $found"; inside viaduct modules --why; return 1; }
}
check "viaduct modules finds every module that was installed" all_modules
check "locks of the packages agree with sha256sum" inside sh -c "cd $modules && sha256sum -c --strict modules.lock.d/*.lock"
check "the configuration is valid" inside viaductd --check
check "viaductd as user viaduct answers root" start_daemon
check "over ring" answers 0x10000
check "it shows the control groups of this machine" says 'cgroups|name' inside viaduct call cgroups-snapshot
in_group() {
	inside useradd -M -G viaduct caller && [ "$(as caller viaduct call increment 1)" = 2 ]
}
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
	apt install /debs/viaduct-transport-shm_*.deb && answers 0x10000
}
check "with it again, over ring" with_shm

# -- locked modules -----------------------------------------------------------------------------------

lock() {
	printf '[daemon]\nmodules.policy = locked\n' >"$root/etc/viaduct/viaductd.conf.d/locked.conf"
	stop_daemon && start_daemon && answers 0x10000
}
flip() { # one byte in the middle of a module
	local file=$root$modules/$1 at byte

	at=$(($(stat -c %s "$file") / 2))
	byte=$(od -An -tu1 -j$at -N1 "$file")
	printf "\\$(printf %o $((byte ^ 1)))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
}
flipped() {
	flip service-increment.so
	stop_daemon
	as viaduct viaductd >>"$log" 2>&1 </dev/null &
	daemon=$!
	soon test -S "$root/run/viaduct/string-reverse.sock" && ! answers 0 && logged 'service-increment.*locked.*sha256'
	flip service-increment.so
}
check "modules.policy = locked: works with the packages' locks" lock
check "... and a module with one byte flipped is refused by name" flipped
unlock() {
	rm "$root/etc/viaduct/viaductd.conf.d/locked.conf" && stop_daemon && start_daemon
}
check "... and without the policy all is as before" unlock

# -- built against ------------------------------------------------------------------------------------

client=$work/client
calls_client() {
	cp "$1" "$root/usr/bin/client" && [ "$(inside client 41)" = 42 ]
	rm "$root/usr/bin/client"
}
with_cmake() {
	cp -r docs/examples/client "$client"
	cmake -S "$client" -B "$client/build" -DCMAKE_PREFIX_PATH="$root/usr" -DCMAKE_FIND_ROOT_PATH="$root" \
		-DCMAKE_C_COMPILER_LAUNCHER= && cmake --build "$client/build" && calls_client "$client/build/client"
}
with_pkg_config() {
	PKG_CONFIG_PATH=$root/usr/lib/x86_64-linux-gnu/pkgconfig make -C "$client" && calls_client "$client/client"
}
check "docs/examples/client, by find_package(viaduct), calls the daemon" with_cmake
check "docs/examples/client, by pkg-config, calls the daemon" with_pkg_config

# -- upgraded -----------------------------------------------------------------------------------------

upgrade() {
	printf '# edited here\n' >>"$root/etc/viaduct/viaductd.conf"
	RELEASE=2 OUT=$work/2 scripts/package.sh deb && cp "$work"/2/*.deb "$root/debs" &&
		apt install $(cd "$root" && printf '/%s ' debs/*-2_*.deb)
}
kept() {
	grep -q 'edited here' "$root/etc/viaduct/viaductd.conf" && [ -e "$unit" -o -L "$root$unit" ]
}
check "apt upgrades all packages to a higher release" upgrade
check "the configuration that was edited is kept" kept
restarted() {
	stop_daemon && start_daemon && answers 0x10000
}
check "the upgraded daemon answers" restarted

# -- removed ------------------------------------------------------------------------------------------

refused "libviaduct1 alone cannot go" 'depend' inside dpkg -r libviaduct1
removed() {
	stop_daemon
	inside dpkg -r $(cd "$packages" && for deb in *.deb; do echo "${deb%%_*}"; done)
	[ -e "$root/etc/viaduct/viaductd.conf" ] && [ ! -e "$root/usr/bin/viaduct" ]
}
check "removed: the configuration stays" removed
purged() {
	inside dpkg -P $(cd "$packages" && for deb in *.deb; do echo "${deb%%_*}"; done)
	files >"$work/after"
	diff "$work/before" "$work/after"
}
check "purged: nothing is left" purged
