#!/bin/bash
# The only server stops, and one of two members is cut off: neither is told anything by a server,
# and neither is more than half. Both are told that their view holds no more; when the server goes
# on and the cable is back, they have one view that is primary.
# Guards: the lease ends by the silence of members alone.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash server_gone_too.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
start srv 3 $VS server --insecure --listen 10.99.0.3:7000; sleep .5
for k in 1 2; do start n$k $k $VS node --insecure --group g --id $k --server 10.99.0.3:7000 --primary-of 1,2; done; sleep 2
kill -STOP ${PID[srv]}; ip -n ${P}0 link set v2 down; sleep 8; show n1 n2
for k in 1 2; do
    [ "$(grep -E '^(view|the view)' $W/n$k.out | tail -1)" = "the view is primary" ] && fail "$k takes its view for primary"
done
kill -CONT ${PID[srv]}; ip -n ${P}0 link set v2 up; sleep 8; show n1 n2
for k in 1 2; do
    [ "$(grep -E '^(view|the view)' $W/n$k.out | tail -1)" = "the view is primary" ] || fail "$k has no primary view after all is back"
done
exit $bad
