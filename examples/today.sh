#!/bin/sh
# Prints an example event as if it had happened today and were reported now, under an id of its own:
#   sh examples/today.sh examples/enrol.json | .venv/bin/itp record -
# Dates of visits are dates at the site, which is in China.
set -eu
[ $# -eq 1 ] || { echo "usage: sh examples/today.sh EVENT.json" >&2; exit 2; }
today=$(TZ=Asia/Shanghai date +%Y-%m-%d)
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
# One id names one event for good, so each use of an example has a new one.
fresh=$(date -u +%Y%m%dT%H%M%SZ)-$$
sed -e "s/\"id\": \"\([^\"]*\)\"/\"id\": \"\1-$fresh\"/" \
    -e "s/\"on\": \"[^\"]*\"/\"on\": \"$today\"/" \
    -e "s/\"first_infusion_on\": \"[^\"]*\"/\"first_infusion_on\": \"$today\"/" \
    -e "s/\"time\": \"[^\"]*\"/\"time\": \"$now\"/" "$1"
