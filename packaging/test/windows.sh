#!/bin/bash
# windows.sh - the MSI under wine: installed, run, with and without features, upgraded, removed; the ZIP unpacked and run.
format=windows
. "$(dirname "$0")/lib.sh"

prefix=$work/prefix
export WINEPREFIX=$prefix WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe="
unset DISPLAY
daemon=
clean() {
	[ -z "$daemon" ] || kill "$daemon" || :
	scripts/wine.sh down "$prefix"
}
name=viaduct-$version-windows-x86_64
msi=$packages/$name.msi
next=99.0.0
newer=$work/newer/viaduct-$next-windows-x86_64.msi
drive=$prefix/drive_c
home="$drive/Program Files/Viaduct"   # as this system sees it
bin='C:\Program Files\Viaduct\bin'    # as wine does
services='HKLM\System\CurrentControlSet\Services'
log=$drive/ProgramData/viaduct/log/viaductd.log
everything=core,codecs,services,transport_pipe,transport_winshm,transport_loop,transport_fault,programs,devel

# -- tools --------------------------------------------------------------------------------------------

run() { # PROGRAM ARGUMENT...: in wine
	timeout 120 wine "$@" </dev/null
}

installer() { # STATUS ARGUMENT...: msiexec without a window ends with that status (the last 8 bits of it)
	local expected=$1 status=0

	shift
	run msiexec "$@" /qn || status=$?
	[ "$status" -eq "$expected" ] || { echo "msiexec $*: expected status $expected, found $status"; return 1; }
}

table() { # TABLE: of the MSI, without its three lines of heading
	msiinfo export "$msi" "$1" | tail -n +4 | tr -d '\r'
}

state() { # of the service
	run sc query viaductd | sed -n 's/.*STATE *: [0-9]* *\([A-Z_]*\).*/\1/p'
}

is() { # STATE: the service
	[ "$(state)" = "$1" ]
}

start() { run sc start viaductd && soon is RUNNING; }
stop() { run sc stop viaductd && soon is STOPPED; }

answers() { # PROFILE [PROGRAM]: the service's increment 41 is 42, over that profile
	local explained

	explained=$(run "${2:-$bin\\viaduct.exe}" call --explain increment 41 2>&1)
	grep -q '^42' <<<"$explained" && grep -Eq "^profile selected: +$1\b" <<<"$explained" && return
	printf 'expected 42 over %s, found:\n%s\n' "$1" "$explained"
	return 1
}

all_modules() { # [PROGRAM]: it finds every module of the MSI
	local found expected

	expected=$(table File | grep -c 'file\.lib_viaduct_1_[a-z_-]*\.dll')
	found=$(run "${1:-$bin\\viaduct.exe}" modules | grep -c '^found')
	[ "$expected" -gt 5 ] && [ "$found" -eq "$expected" ] && return
	echo "expected $expected modules, found $found"
	run "${1:-$bin\\viaduct.exe}" modules --why
	return 1
}

path() { # PATH of the machine
	run reg query 'HKLM\System\CurrentControlSet\Control\Session Manager\Environment' /v PATH |
		sed -n 's/.*REG_[A-Z_]*SZ *//p' | tr -d '\r'
}

files() { # of drive C:, without what programs leave in directories for temporary files, and the installer's copies
	(cd "$drive" && find . -mindepth 1 \( -path './windows/Installer' -o -ipath '*/temp' \) -prune -o -printf '%P\n' | sort)
}

# -- the database -------------------------------------------------------------------------------------

row() { # TABLE TEXT...: a row of the table has these cells in this order
	local table=$1 text=$2

	shift 2
	for cell in "$@"; do
		text+=$'\t'$cell
	done
	table "$table" | grep -qF -- "$text" && return
	printf 'expected in %s: %s\nfound:\n' "$table" "$text"
	table "$table"
	return 1
}
same_files() {
	diff <(msiextract -l "$msi" | sed 's|^.*Viaduct/||' | sort) \
		<(unzip -Z1 "$packages/$name.zip" | grep -v '/$' | sed 's|^[^/]*/||' | sort)
}
versions() { # every program, library and module has the product's version
	local bad

	bad=$(table File | awk -F'\t' -v v="$version.0" '$3 ~ /(dll|exe)$/ && $5 != v')
	[ -z "$bad" ] || { printf 'expected version %s.0: %s\n' "$version" "$bad"; return 1; }
}
check "the MSI is for x64, of this version" says 'Template: x64;1033' msiinfo suminfo "$msi"
check "... ProductVersion" row Property ProductVersion "$version"
check "... upgrade code, never to change" row Property UpgradeCode '{61644565-6D68-551C-A0DA-FF3662D21F96}'
check "core cannot be left out" row Feature core '' libviaduct1
check "programs bring the codecs and the pipe along" row FeatureComponents programs comp.lib_viaduct_1_pipe.dll
check "versions of programs, library and modules" versions
check "the service runs as LocalService, from the start of the system" row ServiceInstall service viaductd viaductd 16 2 1 '' '' 'NT AUTHORITY\LocalService'
check "MSI and ZIP have the same files" same_files
symbols() { # of every program, library and module, by name
	diff <(unzip -Z1 "$packages/$name.zip" | grep -E '\.(dll|exe)$') \
		<(unzip -Z1 "$packages/$name-debug.zip" | sed 's/\.debug$//')
}
check "a debug file for every program, library and module" symbols

# -- installed ----------------------------------------------------------------------------------------

check "a Windows to install into" scripts/wine.sh up "$prefix"
files >"$work/files.before"
path >"$work/path.before"
check "msiexec installs" installer 0 /i "$msi"
check "viaduct modules finds every module, by PATH" says '^found +org.viaduct.winshm' run cmd /c viaduct modules
check "... all of them" all_modules
check "the service runs" is RUNNING
check "... and logs below %ProgramData%" soon grep -q 'ready: 2 services' "$log"
check "the sample of the configuration is valid" run "$bin\\viaductd.exe" --check -c 'C:\Program Files\Viaduct\etc\viaduct\viaductd.conf.sample'

entry() { # NAME: the service's entry, without its own name and the program's quotation marks, which wine leaves out
	run reg query "$services\\$1" | tr -d '\r' | sed "s/$1/NAME/g; s/\"\([A-Z]:[^\"]*exe\)\"/\1/" |
		grep -E 'Description|ErrorControl|ImagePath|ObjectName|Start|Type' | sed 's/NAME\.exe/viaductd.exe/; s/NAME\.log/viaductd.log/'
}
same_entry() {
	run "$bin\\viaductd.exe" --install-service --name other &&
		diff <(entry viaductd) <(entry other) && run "$bin\\viaductd.exe" --remove-service --name other
}
check "its entry is that of viaductd --install-service" same_entry

# Services of wine have another %ProgramData% than programs: both are told the same run directory.
configure() {
	local etc=$home/etc/viaduct

	sed 's/^#\(run_dir = .*\)/\1/' "$etc/viaductd.conf.sample" >"$etc/viaductd.conf" && stop && start
}
check "a configuration made of the sample" configure
check "viaduct call: 42, over winshm" answers 0x2

# -- features -----------------------------------------------------------------------------------------

without_winshm() {
	installer 0 /i "$msi" REMOVE=transport_winshm && [ ! -e "$home/lib/viaduct/1/winshm.dll" ] && answers 0x1
}
says_why() {
	says '^0x2 .*no module' run "$bin\\viaduct.exe" call --explain --profiles 0x3 increment 41
}
check "without the feature transport_winshm: 42, over the pipe" without_winshm
check "... and says why" says_why
with_winshm() {
	installer 0 /i "$msi" ADDLOCAL=transport_winshm && answers 0x2
}
check "with it again: over winshm" with_winshm
check "headers only when asked for" test ! -e "$home/include/viaduct/viaduct.h"

# -- locked modules -----------------------------------------------------------------------------------

locked() {
	mkdir "$home/etc/viaduct/viaductd.conf.d" &&
		printf '[daemon]\r\nmodules.policy = locked\r\n' >"$home/etc/viaduct/viaductd.conf.d/locked.conf" &&
		stop && start && answers 0x2
}
flip() { # one byte in the middle of a module
	local file=$home/lib/viaduct/1/$1 at byte

	at=$(($(stat -c %s "$file") / 2))
	byte=$(od -An -tu1 -j$at -N1 "$file")
	printf '%b' "\\0$(printf %o $((byte ^ 1)))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
}
flipped() {
	stop && flip service-increment.dll && start &&
		says 'service-increment\.dll.*sha256' tail -n 20 "$log" && ! answers 0x2
}
unlocked() {
	flip service-increment.dll && rm -r "$home/etc/viaduct/viaductd.conf.d" && stop && start && answers 0x2
}
check "modules.policy = locked: works with the locks of the packages" locked
check "... and a module with one byte flipped is refused by name" flipped
check "... and without the policy all is as before" unlocked

# -- upgraded -----------------------------------------------------------------------------------------

make_newer() {
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) cpack --config build/package-windows/CPackConfig.cmake -G External \
		-R $next -B "$work/newer" -D CPACK_PACKAGE_FILE_NAME=viaduct-$next-windows-x86_64
}
check "a package of a higher version" make_newer
process() { # that answers
	run "$bin\\viaduct.exe" call --explain increment 41 2>&1 | grep '^server: *pid [0-9]'
}
upgraded() {
	printf '# edited here\r\n' >>"$home/etc/viaduct/viaductd.conf" &&
		cp "$home/etc/viaduct/viaductd.conf" "$work/edited.conf" && process >"$work/process" &&
		installer 0 /i "$newer" && run reg query 'HKLM\Software\Viaduct' /v Version | grep -q '99\.0\.0'
}
check "msiexec upgrades" upgraded
check "the configuration that was edited is kept" cmp "$work/edited.conf" "$home/etc/viaduct/viaductd.conf"
restarted() {
	soon is RUNNING && ! process | cmp -s - "$work/process"
}
check "another process of the service runs" restarted
check "... and answers" answers 0x2
one_entry() {
	[ "$(run reg query 'HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall' /s | grep -c 'DisplayName.*Viaduct')" -eq 1 ]
}
check "one product is installed" one_entry
check "the lower version is refused (1603)" installer 67 /i "$msi"
check "... and the higher one still answers" answers 0x2

# -- removed ------------------------------------------------------------------------------------------

removed() { # wine does not wait for the end of a service, and keeps the files of one that runs
	stop && installer 0 /x "$newer" && ! run sc query viaductd
}
left() { # what is left, but for FILE...
	files >"$work/files.after"
	diff "$work/files.before" <(grep -vxF "$(printf '%s\n' "$@")" "$work/files.after")
}
check "msiexec removes it, and the service" removed
check "nothing is left but the configuration that was edited" left 'Program Files/Viaduct' 'Program Files/Viaduct/etc' \
	'Program Files/Viaduct/etc/viaduct' 'Program Files/Viaduct/etc/viaduct/viaductd.conf'
check "PATH is as before" test "$(path)" = "$(cat "$work/path.before")"
check "the registry names it no more" fails_with 'Unable to find' run reg query 'HKLM\Software\Viaduct'

elsewhere() {
	rm -r "$home" && installer 0 /i "$msi" 'INSTALLDIR=C:\Other place\viaduct' ADDLOCAL=$everything &&
		all_modules 'C:\Other place\viaduct\bin\viaduct.exe' && [ -e "$drive/Other place/viaduct/include/viaduct/viaduct.h" ]
}
check "another directory, with a blank, and everything" elsewhere
repaired() { # as msiexec /fa does on Windows; wine does not find the product then
	rm "$drive/Other place/viaduct/lib/viaduct/1/loop.dll" &&
		installer 0 /i "$msi" REINSTALL=ALL REINSTALLMODE=amus && all_modules 'C:\Other place\viaduct\bin\viaduct.exe'
}
check "a repair brings back a file that was lost" repaired
removed_there() {
	stop && installer 0 /x "$msi" && rmdir "$drive/Other place" && left ''
}
check "removed from there: nothing is left" removed_there
few() { # the modules that come with what was asked for, and no others
	installer 0 /i "$msi" ADDLOCAL=core,programs,services && is RUNNING &&
		diff <(cd "$home/lib/viaduct/1" && printf '%s\n' *.dll) <(printf '%s.dll\n' codec-cgroups-snapshot \
			codec-increment codec-string-reverse pipe service-increment service-string-reverse)
}
removed_few() {
	stop && installer 0 /x "$msi" && left ''
}
check "ADDLOCAL=core,programs,services: no other module than those, and those they need" few
check "removed again: nothing is left" removed_few

# -- the archive --------------------------------------------------------------------------------------

# On drive C:, because the directories above a module count, and those above this one are anybody's on drive Z:.
zip="$drive/a place/$name"
there="C:\\a place\\$name\\bin"
unpacked() {
	unzip -q "$packages/$name.zip" -d "$drive/a place" && all_modules "$there\\viaduct.exe"
}
check "the ZIP, unpacked into a directory with a blank, finds its modules" unpacked
locks() {
	(cd "$zip/lib/viaduct/1" && cat modules.lock.d/*.lock | sha256sum -c --strict --quiet)
}
check "its locks agree with sha256sum" locks
check "nothing in it knows where it was built" fails_with '' grep -rqF "$PWD" "$zip"
start_here() { # the daemon of the ZIP, in a console
	wine "$there\\viaductd.exe" "$@" >"$work/daemon.log" 2>&1 </dev/null &
	daemon=$!
	soon grep -q 'ready: ' "$work/daemon.log"
}
check "its daemon starts in a console" start_here
check "... and answers over winshm" answers 0x2 "$there\\viaduct.exe"
client() {
	cmake -S "$zip/doc/examples/client" -B "$work/client" -G Ninja -DCMAKE_SYSTEM_NAME=Windows \
		-DCMAKE_C_COMPILER=x86_64-w64-mingw32-gcc-win32 -DCMAKE_PREFIX_PATH="$zip" && cmake --build "$work/client" &&
		cp "$work/client/client.exe" "$zip/bin" && says '^42' run "$there\\client.exe" 41
}
check "examples/client, by find_package(viaduct) with MinGW, calls it" client
