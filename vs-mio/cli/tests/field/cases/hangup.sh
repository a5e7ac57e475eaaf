#!/bin/bash
# The terminal of a process is gone (SIGHUP): a node leaves, so the others need not wait for its
# silence, and a server ends; one that was started with nohup goes on.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash hangup.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 2
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
start n1 1 $VS node --insecure --group g --id 1 --server 10.99.0.1:7000
start n2 2 nohup $VS node --insecure --group g --id 2 --server 10.99.0.1:7000; sleep 2
kill -HUP ${PID[n1]} ${PID[n2]}; sleep .5
kill -0 ${PID[n1]} 2>/dev/null && fail "1 does not end"
wait ${PID[n1]} || fail "1 ends with status $?"
kill -0 ${PID[n2]} 2>/dev/null || fail "2 was to outlive its terminal"
grep '^view' $W/n2.out | tail -1 | grep -q '{2}' || fail "1 did not leave cleanly"
kill -HUP ${PID[srv]}; wait ${PID[srv]} || fail "the server ends with status $?"
show srv n1 n2
exit $bad
