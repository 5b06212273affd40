#!/bin/bash
# archive.sh - the archive for Linux: unpacked under a name with a blank, run from there, moved, built against.
format=archive
. "$(dirname "$0")/lib.sh"

name=viaduct-$version-linux-$(uname -m)
place="$work/a place"
run=$work/run
daemon=
log=$work/daemon.log
clean() { [ -z "$daemon" ] || kill "$daemon"; }
unset LD_LIBRARY_PATH VIADUCT_MODULE_PATH XDG_RUNTIME_DIR

unpack() {
	mkdir -p "$place"
	mkdir -m 0700 "$run"
	tar -C "$place" -xzf "$packages/$name.tar.gz"
	tar -C "$place" -xzf "$packages/$name-debug.tar.gz"
	root=$place/$name
}
modules() { # every file in the module directory is found, and under the place
	local expected found

	expected=$(find "$root/lib/viaduct/1" -name '*.so' | wc -l)
	found=$("$root/bin/viaduct" modules --json | grep -o "\"$root/lib/viaduct/1/[a-z-]*.so\"" | sort -u | wc -l)
	[ "$found" -eq "$expected" ] && [ "$expected" -gt 8 ] || { echo "expected $expected modules, found $found"; return 1; }
}
start() {
	"$root/bin/viaductd" --run-dir "$run" >>"$log" 2>&1 &
	daemon=$!
	soon calls 0x10000
}
stop() {
	kill "$daemon"
	wait "$daemon"
	daemon=
}
calls() { # PROFILE
	"$root/bin/viaduct" call --run-dir "$run" --explain increment 41 >"$work/answer" 2>"$work/explained" &&
		grep -qx 42 "$work/answer" && grep -Eq "profile selected: +$1$" "$work/explained"
}
configured() { # what is beside the programs counts
	printf '[daemon]\nmodules.policy = locked\nserve = listed\n[service increment]\n' >"$root/etc/viaduct/viaductd.conf.d/here.conf"
	start && stop && grep -q 'ready: 1 service' "$log"
}
symbols() { # of every program, library and module
	local file id missing=0

	while read -r file; do
		id=$(readelf -n "$file" | sed -n 's/.*Build ID: //p')
		[ -s "$root/lib/debug/.build-id/${id:0:2}/${id:2}.debug" ] || { echo "no symbols of $file, build id '$id'"; missing=1; }
	done < <(find "$root/bin" "$root/lib" "$root/libexec" \( -name '*.so*' -o -path '*/bin/*' -o -path '*/libexec/*' \) -type f ! -name '*.debug')
	return $missing
}
moved() {
	mv "$place" "$work/elsewhere"
	root=$work/elsewhere/$name
	start && stop
}
client() {
	cp -r "$root/share/doc/viaduct/examples/client" "$work/client"
	cmake -S "$work/client" -B "$work/client/build" -DCMAKE_PREFIX_PATH="$root" && cmake --build "$work/client/build" &&
		[ "$(XDG_RUNTIME_DIR=$work "$work/client/build/client" 41)" = 42 ]
}

check "unpacked under a name with a blank" unpack
check "viaduct modules finds every module of the archive" modules
check "the lock agrees with sha256sum" sh -c "cd '$root/lib/viaduct/1' && sha256sum -c --strict modules.lock"
check "a debug file for every program, library and module" symbols
check "nothing in it knows where it was built" fails_with '' grep -rqF "$PWD" "$root"
check "the daemon answers over ring" start
check "stops in order" stop
check "the configuration beside the programs counts, modules are locked" configured
check "moved elsewhere it works the same" moved
ln -s "$run" "$work/viaduct"
check "started for the client" start
check "examples/client is built against it and calls" client
check "stops in order again" stop
