#!/bin/bash
# The clock of a running node and of the server is set back by an hour, and forward by a day: no
# view changes for it, and the next change is as quick as ever.
# Guards: times are measured by the monotonic clock alone.
# needs: root, iproute2, libfaketime. Usage: [VS=/path/to/vs] bash clock_steps.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
F=$(ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null | head -1); [ -n "$F" ] || { echo "apt-get install libfaketime"; exit 77; }
net 3
echo "+0" > $W/clock
fake="env LD_PRELOAD=$F FAKETIME_TIMESTAMP_FILE=$W/clock FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
start srv 1 $fake $VS server --insecure --listen 10.99.0.1:7000; sleep .5
for k in 1 2; do start n$k $k $fake $VS node --insecure --group g --id $k --server 10.99.0.1:7000 --trace $W/t$k.jsonl; done; sleep 2
views=$(grep -c ^view $W/n1.out)
echo "-3600" > $W/clock; sleep 3; echo "+86400" > $W/clock; sleep 3; echo "-60" > $W/clock; sleep 1
[ $(grep -c ^view $W/n1.out) = $views ] || fail "the clock changes views"
start n3 3 $fake $VS node --insecure --group g --id 3 --server 10.99.0.1:7000 --trace $W/t3.jsonl; sleep 2; show srv n1 n3
grep '^view' $W/n1.out | tail -1 | grep -q '{1,2,3}' || fail "3 does not come in"
for k in 1 2 3; do kill ${PID[n$k]}; done; sleep 1
$VS check $W/t1.jsonl $W/t2.jsonl $W/t3.jsonl > $W/verdict 2>&1 || { cut -c1-200 $W/verdict; fail "numbers do not grow"; }
exit $bad
