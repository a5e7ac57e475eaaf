#!/bin/bash
# The clock of one node is an hour ahead, and all nodes are started again together, that one with
# the right time: numbers of views and ids have to grow all the same (M2, M6, S2), as each trace
# knows what was given.
# Guards: a node starts above its own trace and above what peers say.
# needs: root, iproute2, libfaketime. Usage: [VS=/path/to/vs] bash clock_ahead_all.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
F=$(ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null | head -1); [ -n "$F" ] || { echo "apt-get install libfaketime"; exit 77; }
net 3
ahead() { echo env LD_PRELOAD=$F FAKETIME=$1 DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1; }
for k in 1 2 3; do clock=; [ $k = 2 ] && clock=$(ahead +3600); start a$k $k $clock $VS node --insecure --group g --id $k --trace $W/t$k.jsonl; done; sleep 3
for k in 1 2 3; do kill -9 ${PID[a$k]}; done; sleep 1
for k in 1 2 3; do start b$k $k $VS node --insecure --group g --id $k --trace $W/t$k.jsonl; done; sleep 4
for k in 1 2 3; do type_in b$k "again $k"; done; sleep 1; show b1 b2
for k in 1 2 3; do kill ${PID[b$k]}; done; sleep 1
grep -q '{1,2,3}' $W/b1.out || fail "they do not come together again"
$VS check $W/t1.jsonl $W/t2.jsonl $W/t3.jsonl > $W/verdict 2>&1 || { cut -c1-200 $W/verdict; fail "what was given by the clock that was ahead is given again"; }
exit $bad
