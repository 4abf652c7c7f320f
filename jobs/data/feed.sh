#!/usr/bin/env bash
# feed.sh: writes made-up records to the topic of an example, through kcat. usage: feed.sh TOPIC [COUNT [SEED [RATE]]]
#
#   BROKERS=localhost:9092 jobs/data/feed.sh transactions 10000
#
# TOPIC is transactions, page_views, sensors or posts; feed.lua tells what they look like. RATE is records a second,
# default: all at once. Records of one key go to one partition, in order.
set -euo pipefail
here=$(dirname "$0")
[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
"${WEIR:-$here/../../build/weir}" lua "$here/feed.lua" "$@" |
	kcat -P -q -b "${BROKERS:-localhost:9092}" -t "$1" -K "$(printf '\t')"
