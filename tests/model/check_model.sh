#!/bin/sh
# check_model.sh MODEL pass|fail [spin -D options]: searches every state of the model; fails unless the
# outcome is the expected one.
set -eu

model=$1
want=$2
shift 2
case $want in
pass | fail) ;;
*) echo "check_model.sh: expected pass or fail, found '$want'" >&2; exit 2 ;;
esac

# spin leaves its files where it runs.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$model" "$dir/m.pml"
cd "$dir"

spin "$@" -a m.pml >gen.log 2>&1 || { cat gen.log; exit 2; }
# Most searches take less time than an optimising compiler does.
"${CC:-cc}" -O0 -w -DSAFETY -DCOLLAPSE -DMEMLIM=480 -o pan pan.c
status=0
./pan -m600000 -w22 >out.log 2>&1 || status=$?
cat out.log
[ "$status" -eq 0 ] || { echo "pan ended with $status"; exit 2; }

# pan also ends with 0 when it has found an error, and when it had to give up.
errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' out.log)
[ -n "$errors" ] || { echo "the search has no result"; exit 2; }
if [ "$errors" -eq 0 ] && grep -q -e 'search depth too small' -e 'not completed' out.log; then
	echo "the search was not completed"
	exit 2
fi
if [ "$errors" -eq 0 ]; then
	got=pass
else
	got=fail
	spin "$@" -t -p -g m.pml | tail -n 60
fi
echo "outcome: $got, expected: $want"
[ "$got" = "$want" ]
