#!/bin/sh
# format.sh -i | --dry-run: clang-format over everything but the ABI headers (include/viaduct/*.h), which
# are laid out as tables.
set -eu
cd "$(dirname "$0")/.."
case "${1:-}" in
-i) options=-i ;;
--dry-run) options="--dry-run -Werror" ;;
*) echo "usage: format.sh -i|--dry-run" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086 # two words
find core transports codecs services tools tests fuzz bench docs include/viaduct/*/ \
	-name '*.[ch]' -type f 2>/dev/null | sort | xargs clang-format $options
