#!/bin/sh
# wine.sh up PREFIX | down PREFIX: a wine prefix for the tests of the Windows build.
#
# up makes the prefix once and starts a server that outlives single programs, so that each of them starts
# in a tenth of a second. The first program of a prefix must not have a pipe for output: its helpers
# inherit it and whoever reads the pipe waits for the server's end. Hence the redirections.
#
# Drive V: is the directory that the prefix is in. wine knows a file by the drive that ends nearest to it, so
# that the directories above what was built are those of V:, not /tmp and the like, which are everybody's.
set -eu
export WINEPREFIX="$2" WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe="
unset DISPLAY

quiet() {
	"$@" </dev/null >/dev/null 2>&1
}

make_prefix() {
	rm -rf "$WINEPREFIX"
	mkdir -p "$WINEPREFIX"
	quiet wineboot -i || { echo "wine.sh: wineboot failed in $WINEPREFIX" >&2; exit 1; }
	quiet wine reg add 'HKCU\Software\Wine' /v Version /d win10 /f
	quiet wineserver -w
	echo disable >"$WINEPREFIX/.update-timestamp"
	: >"$WINEPREFIX/.ready"
}

case "$1" in
up)
	[ -e "$WINEPREFIX/.ready" ] || make_prefix
	ln -sfn "$(cd "$WINEPREFIX/.." && pwd)" "$WINEPREFIX/dosdevices/v:"
	quiet wineserver -p120 || true # already running is fine
	quiet wine cmd /c exit
	;;
down)
	quiet wineserver -k || true
	quiet wineserver -w || true
	;;
*)
	echo "usage: wine.sh up|down PREFIX" >&2
	exit 2
	;;
esac
