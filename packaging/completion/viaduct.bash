# viaduct.bash - completion of viaduct and viaductd for bash. SPDX-License-Identifier: Apache-2.0
#
# Commands, options and what an option takes come from the programs' --help, names of services and transports
# from `viaduct modules --json`, which reads files and executes nothing. Needs nothing of bash-completion.

# Words of a section of --help, the first one of each line: _viaduct_words TEXT SECTION
_viaduct_words() {
	local line inside=''
	while IFS= read -r line; do
		case $line in
		"$2:") inside=1 ;;
		'') inside='' ;;
		'  '[a-z]*) [[ -z $inside ]] || { read -r line _ <<<"$line"; printf '%s\n' "$line"; } ;;
		esac
	done <<<"$1"
}

# Options in a text of --help, each with what it takes: "--run-dir DIR", "-v", "--verbose".
_viaduct_options() {
	local line pattern='^  (-[a-z], )?(--[a-z-]+)( [A-Z]+)?( |$)'
	while IFS= read -r line; do
		[[ $line =~ $pattern ]] || continue
		printf '%s\n' "${BASH_REMATCH[2]}${BASH_REMATCH[3]}"
		[[ -z ${BASH_REMATCH[1]} ]] || printf '%s\n' "${BASH_REMATCH[1]%, }${BASH_REMATCH[3]}"
	done <<<"$1"
}

# Names that usable modules provide: _viaduct_names PROGRAM KIND [ROLES [OPTION...]]. ROLES: bits, any of which a
# transport must have. The pattern admits nothing that a shell would expand.
_viaduct_names() {
	local line rest name roles=${3:-0} program=$1
	local pattern='\{"kind": "'$2'", "name": "([A-Za-z0-9._,-]+)"([^}]*)\}(.*)'
	while IFS= read -r line; do
		[[ $line != *'"state": "refused"'* ]] || continue
		while [[ $line =~ $pattern ]]; do
			name=${BASH_REMATCH[1]} rest=${BASH_REMATCH[2]} line=${BASH_REMATCH[3]}
			[[ $roles == 0 || $rest =~ \"roles\":\ ([0-9]+) && $((BASH_REMATCH[1] & roles)) != 0 ]] &&
				printf '%s\n' "${name//,/$'\n'}"
		done
	done < <("$program" modules --json "${@:4}" 2>/dev/null)
}

# Takes those of the words that begin with what is typed. Readline replaces only what stands behind the last
# character of COMP_WORDBREAKS, so what is in front of it goes.
_viaduct_reply() { # typed, word...
	local typed=$1 word front=''
	[[ $typed != *[:=]* ]] || front=${typed%"${typed##*[:=]}"}
	[[ -z $front || $COMP_WORDBREAKS == *"${front: -1}"* ]] || front=''
	for word in "${@:2}"; do
		[[ $word != "$typed"* ]] || COMPREPLY+=("${word#"$front"}")
	done
}

# A value: _viaduct_value PROGRAM COMMAND OPTION WHAT TYPED IN-FRONT [OPTION...]
_viaduct_value() {
	local typed=$5 front=$6 list='' word words=''
	case $3 in
	--transport) words=$(_viaduct_names "$1" transport "$([[ $2 == bench ]] && echo 3 || echo 1)" "${@:7}") ;;
	--profiles)
		[[ $typed != *,* ]] || list=${typed%,*},
		words=$(_viaduct_names "$1" transport 3 "${@:7}")
		;;
	--scenario) words=$(_viaduct_words "$("$1" bench --help 2>/dev/null)" Scenarios) ;;
	--only) words=$(_viaduct_words "$("$1" check --help 2>/dev/null)" Groups) ;;
	--policy) words='balanced latency frugal' ;;
	--module-policy) words='any locked' ;;
	*)
		case $4 in
		FILE) compopt -o default ;;
		DIR | DIRS) compopt -o dirnames ;;
		esac
		return
		;;
	esac
	for word in $words; do
		_viaduct_reply "$front$typed" "$front$list$word"
	done
}

# An operand: _viaduct_operand PROGRAM COMMAND HOW-MANY-BEFORE TYPED [OPTION...]
_viaduct_operand() {
	local words='' codec
	case $2:$3 in
	call:0 | serve:*) words=$(_viaduct_names "$1" service 0 "${@:5}") ;;
	bench:*) words=$(_viaduct_names "$1" transport 3 "${@:5}") ;;
	decode:0 | encode:0)
		words='header chunk hello hello-ack batch:'
		for codec in $(_viaduct_names "$1" codec 0 "${@:5}"); do
			words+=" $codec:request $codec:response"
		done
		[[ $4 != b* ]] || compopt -o nospace
		;;
	check:0 | decode:1 | encode:1) compopt -o default ;;
	esac
	# shellcheck disable=SC2086 # names without blanks, one word for each
	_viaduct_reply "$4" $words
}

_viaduct() {
	local program=$1 line=${COMP_LINE:0:COMP_POINT} command='' help option what word typed i
	local words=() more=() operands=0 ended='' pending=''
	local -A takes=()

	COMPREPLY=()
	read -ra words <<<"$line"
	[[ $line != *[[:blank:]] ]] || words+=('')
	typed=${words[-1]}
	i=1
	if [[ ${program##*/} == viaduct ]]; then
		help=$("$program" --help 2>/dev/null) || return
		if ((${#words[@]} <= 2)); then
			# shellcheck disable=SC2046 # one word for each command
			_viaduct_reply "$typed" $(_viaduct_words "$help" Commands) --help --version
			return
		fi
		command=${words[1]} i=2
		[[ " $(_viaduct_words "$help" Commands | tr '\n' ' ')" == *" $command "* ]] || return
	fi
	# shellcheck disable=SC2086 # no word if there is no command
	help=$("$program" $command --help 2>/dev/null) || return
	while read -r option what; do
		takes[$option]=$what
	done < <(_viaduct_options "$help")

	for (( ; i < ${#words[@]} - 1; i++)); do
		word=${words[i]}
		if [[ -n $ended || $word != -?* ]]; then
			((++operands))
		elif [[ $word == -- ]]; then
			ended=1
		elif [[ $word == --module-path=* ]]; then
			more=(--module-path "${word#*=}")
		elif [[ -n ${takes[$word]} ]]; then
			pending=$word
			((++i < ${#words[@]} - 1)) || break
			pending=''
			[[ $word != --module-path ]] || more=(--module-path "${words[i]}")
		fi
	done
	if [[ -n $pending ]]; then
		_viaduct_value "$program" "$command" "$pending" "${takes[$pending]}" "$typed" '' "${more[@]}"
	elif [[ -z $ended && $typed == --*=* ]]; then
		word=${typed%%=*}
		[[ -z ${takes[$word]} ]] ||
			_viaduct_value "$program" "$command" "$word" "${takes[$word]}" "${typed#*=}" "$word=" "${more[@]}"
	elif [[ -z $ended && $typed == -* ]]; then
		_viaduct_reply "$typed" "${!takes[@]}"
	else
		_viaduct_operand "$program" "$command" "$operands" "$typed" "${more[@]}"
	fi
}

complete -F _viaduct viaduct viaductd
