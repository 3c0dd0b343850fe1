"""Scripts that do in the root of a stage what catalyst does there after its packages."""

from __future__ import annotations

STAGE1 = """\
#!/bin/bash
set -e
echo LANG=C.UTF-8 > /etc/env.d/02locale
[[ ! -x /usr/sbin/env-update ]] || env-update
if type -p locale-gen > /dev/null; then
	echo 'C.UTF-8 UTF-8' > /run/locale.gen
	locale-gen --config /run/locale.gen
fi
for tool in gcc binutils; do
	type -p ${tool}-config > /dev/null || continue
	profiles=(/etc/env.d/${tool}/${clst_CHOST:-none}-*)
	[[ -e ${profiles[0]} ]] || profiles=(1) # the first that there is
	${tool}-config "${profiles[0]##*/}"
done
if [[ -d /usr/share/zoneinfo ]]; then
	ln -snf ../usr/share/zoneinfo/Factory /etc/localtime
else
	echo UTC > /etc/TZ
fi
"""

STAGE2 = """\
#!/bin/bash
set -e
[[ ! -x /usr/sbin/env-update ]] || env-update
[[ -e /etc/locale.gen ]] || echo 'C.UTF-8 UTF-8' > /etc/locale.gen
! type -p locale-gen > /dev/null || locale-gen
: > /var/lib/portage/world
"""

STAGE3 = """\
#!/bin/bash
set -e
echo LANG=C.UTF-8 > /etc/env.d/02locale
[[ ! -x /usr/sbin/env-update ]] || env-update
if [[ -d /usr/share/zoneinfo ]]; then
	ln -snf ../usr/share/zoneinfo/Factory /etc/localtime
fi
[[ -e /etc/locale.gen ]] || echo 'C.UTF-8 UTF-8' > /etc/locale.gen
! type -p locale-gen > /dev/null || locale-gen
"""

# Bash reads this file before a script of its own, so that the line of a failure is known.
FSSCRIPT = """\
#!/bin/sh
if [ -n "${{BASH_ENV}}" ]; then
	unset BASH_ENV
	trap '__cloche="${{0##*/}}: failed last: line ${{LINENO}}: ${{BASH_COMMAND}}"' ERR
	trap '[[ $? == 0 || ! ${{__cloche}} ]] || echo "${{__cloche}}" >&2' EXIT
	return
fi
cp /run/cloche/inputs/* /tmp || exit
read -r first < /tmp/{name}
case ${{first}} in
	"#!"*bash*) export BASH_ENV="$0" ;;
esac
exec /tmp/{name}
"""
