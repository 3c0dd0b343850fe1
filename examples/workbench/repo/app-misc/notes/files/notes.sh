#!/bin/sh
# notes: keep notes in a text file.
#   notes              show them
#   notes add WORDS    add one
#   notes edit         edit them all
#   notes find PATTERN show those that match a Lua pattern
#   notes path         say where they are
set -eu
file=${NOTES:-${HOME:-/root}/.notes}

first() {
	for name in "$@"; do
		if command -v "$name" >/dev/null; then
			echo "$name"
			return
		fi
	done
	echo "notes: none of these is here: $*" >&2
	return 1
}

case ${1:-show} in
	add) shift; echo "$*" >> "$file" ;;
	edit) exec ${EDITOR:-$(first nano ed)} "$file" ;;
	find) shift; exec notes-find "$@" ;;
	path) echo "$file" ;;
	show)
		case ${PAGER:=$(first less nano)} in
			nano) exec nano --view "$file" ;;
			*) exec $PAGER "$file" ;;
		esac ;;
	*) echo "notes: no such command: $1" >&2; exit 2 ;;
esac
