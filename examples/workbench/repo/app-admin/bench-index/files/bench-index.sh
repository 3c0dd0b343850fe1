#!/bin/sh
# bench-index: say what tools of its own the workbench has.
sed -n 's/^ *"\([^"]*\)": "\(.*\)",\{0,1\}$/\1: \2/p' /var/lib/bench-index/index.json
