# root.sh - for tests of packages that have a Debian of their own in $root: the daemon of it, and what is asked of it.
#
# A test sources this after lib.sh and after setting modules and examples, their directories; it runs in namespaces of its
# own for mounts and processes.
root=$work/root
libdir=$root${modules%/viaduct/*}
log=$work/daemon.log
daemon=
enter=(chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive)

inside() { # in the root, with nothing of this environment
	"${enter[@]}" "$@"
}

as() { # USER COMMAND...
	local user=$1

	shift
	inside setpriv --reuid="$user" --regid="$(inside id -g "$user")" --init-groups "$@"
}

unpack_root() {
	packaging/test/base.sh && mkdir "$root" && tar -C "$root" -xpf build/package-test/base.tar &&
		mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" &&
		mount -t tmpfs tmpfs "$root/run"
}

run_daemon() { # the shell must know the daemon's own number
	"${enter[@]}" setpriv --reuid=viaduct --regid=viaduct --init-groups viaductd >>"$log" 2>&1 </dev/null &
	daemon=$!
}

start_daemon() {
	run_daemon
	soon ready_or_gone && answers 0 || { cat "$log"; return 1; }
}

ready_or_gone() {
	answers 0 2>/dev/null || ! kill -0 "$daemon" 2>/dev/null
}

stop_daemon() { # 0: it ended by itself when told to
	kill "$daemon" && wait "$daemon"
}

restart_daemon() {
	stop_daemon && start_daemon && answers 0x10000
}

answers() { # PROFILE (0: any): increment 41 is 42, over that one
	local explained

	[ "$(inside viaduct call increment 41)" = 42 ] || return 1
	[ "$1" = 0 ] && return
	explained=$(inside viaduct call --explain increment 41 2>&1)
	grep -q "selected: *$1\$" <<<"$explained" || { printf '%s\n' "$explained"; return 1; }
}

logged() { # TEXT (a regular expression)
	soon grep -Eq -- "$1" "$log" || { cat "$log"; return 1; }
}

all_modules() {
	local found expected

	found=$(inside viaduct modules | grep -c '^found ')
	expected=$(find "$root$modules" -name '*.so' | wc -l)
	[ "$found" -eq "$expected" ] || { echo "expected $expected modules, found $found"; inside viaduct modules --why; return 1; }
}

in_group() {
	inside useradd -M -G viaduct caller && [ "$(as caller viaduct call increment 1)" = 2 ]
}

lock() {
	printf '[daemon]\nmodules.policy = locked\n' >"$root/etc/viaduct/viaductd.conf.d/locked.conf" &&
		restart_daemon
}

unlock() {
	rm "$root/etc/viaduct/viaductd.conf.d/locked.conf" && restart_daemon
}

flip() { # MODULE: one bit in the middle
	local file=$root$modules/$1 at byte

	at=$(($(stat -c %s "$file") / 2))
	byte=$(od -An -tu1 -j$at -N1 "$file")
	printf '%b' "\\0$(printf %o $((byte ^ 1)))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
}

flipped() { # the other services are there, this one is not, and the log says why
	stop_daemon && flip service-increment.so && run_daemon &&
		soon test -S "$root/run/viaduct/string-reverse.sock" && ! answers 0 && logged 'service-increment.*locked.*sha256'
}

# A program of the installed examples is built against what is installed in the root, and run there.
calls_client() { # FILE
	cp "$1" "$root/usr/bin/client" && [ "$(inside client 41)" = 42 ] && rm "$root/usr/bin/client"
}

client_by_cmake() {
	cp -r "$root$examples/client" "$work/client" &&
		cmake -S "$work/client" -B "$work/client/build" -Dviaduct_DIR="$libdir/cmake/viaduct" &&
		cmake --build "$work/client/build" && calls_client "$work/client/build/client"
}

client_by_pkg_config() {
	[ "$(inside sed -n 's/^prefix=//p' "${modules%/viaduct/*}/pkgconfig/viaduct.pc")" = /usr ] &&
		PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$libdir/pkgconfig make -C "$work/client" &&
		calls_client "$work/client/client"
}

build_module() { # EXAMPLE: into the module directory of the root
	cp -r "$root$examples/$1" "$work/$1" &&
		cmake -S "$work/$1" -B "$work/$1/build" -Dviaduct_DIR="$libdir/cmake/viaduct" &&
		cmake --build "$work/$1/build" && cmake --install "$work/$1/build"
}
