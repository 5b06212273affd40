#!/bin/bash
# changelog.sh CHANGES.md RELEASE AUTHOR: the changes as %changelog of a spec; those not released are of SOURCE_DATE_EPOCH.
set -euo pipefail
changes=$1 release=$2 author=$3
while IFS= read -r line; do
	if [[ $line =~ ^##\ ([0-9][^ ]*)\ \((.+)\)$ ]]; then
		day=${BASH_REMATCH[2]}
		[ "$day" != unreleased ] || day=@${SOURCE_DATE_EPOCH:-$(date +%s)}
		printf '* %s %s - %s-%s\n' "$(LC_ALL=C date -u -d "$day" '+%a %b %d %Y')" "$author" "${BASH_REMATCH[1]}" "$release"
	elif [[ $line == "- "* || $line == "  "* ]]; then
		printf '%s\n' "${line//%/%%}"
	elif [[ $line == "## "* ]]; then
		printf '%s: expected "## VERSION (DATE)" or "(unreleased)", found: %s\n' "$changes" "$line" >&2
		exit 1
	elif [ -z "$line" ]; then
		printf '\n'
	fi
done <"$changes"
