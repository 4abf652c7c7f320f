# bash completion for weir: verbs, options and running jobs are asked of the program, so they are never out of
# date.
_weir() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} weir=${COMP_WORDS[0]} help further choices
	COMPREPLY=()
	if ((COMP_CWORD == 1)) || [[ ${COMP_WORDS[1]} == help ]]; then
		COMPREPLY=($(compgen -W "$("$weir" help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')" -- "$cur"))
		return
	fi
	help=$("$weir" help "${COMP_WORDS[1]}" 2>/dev/null)
	further=$(sed -n "s/^  weir ${COMP_WORDS[1]} \([a-z]*\)  .*/\1/p" <<<"$help") # verbs of two words
	if [[ $further && COMP_CWORD -gt 2 && " "${further//$'\n'/ }" " == *" ${COMP_WORDS[2]} "* ]]; then
		help=$("$weir" help "${COMP_WORDS[1]}" "${COMP_WORDS[2]}" 2>/dev/null)
	fi
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(grep -oE -- '^  (-.,)? *--[a-z-]+' <<<"$help" | grep -oE -- '--[a-z-]+')" -- "$cur"))
	elif [[ $prev == --* ]]; then
		choices=$(tr -s ' \n' '  ' <<<"$help" | grep -oE -- "$prev [A-Z]+ [^.]*\. One of [a-z_|]+" | grep -oE '[a-z_]+(\|[a-z_]+)+$')
		if [[ $choices ]]; then COMPREPLY=($(compgen -W "${choices//|/ }" -- "$cur")); else COMPREPLY=($(compgen -f -- "$cur")); fi
	elif [[ $further ]]; then
		if ((COMP_CWORD == 2)); then further+=" $("$weir" list 2>/dev/null | sed -n '1!s/ .*//p')"; else further=; fi
		COMPREPLY=($(compgen -W "$further" -- "$cur") $(compgen -f -X '!*.weir' -- "$cur")
			$(compgen -f -X '!*.lua' -- "$cur") $(compgen -d -- "$cur"))
	else
		if [[ ${COMP_WORDS[1]} =~ ^(info|top|checkpoint|stop|cancel|reload|rollback|savepoint)$ ]]; then
			COMPREPLY=($(compgen -W "$("$weir" list 2>/dev/null | sed -n '1!s/ .*//p')" -- "$cur"))
			[[ ${COMP_WORDS[1]} =~ ^(reload|savepoint)$ ]] || return
		fi
		COMPREPLY+=($(compgen -f -X '!*.lua' -- "$cur") $(compgen -d -- "$cur"))
	fi
}
complete -o filenames -F _weir weir
