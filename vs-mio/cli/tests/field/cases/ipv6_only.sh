#!/bin/bash
# Hosts without IPv4: nodes without a server and without options come together by IPv6, and a
# server by IPv6 serves them.
# Guards: nothing of the path is IPv4 alone.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash ipv6_only.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 2
for k in 1 2; do ip -n $P$k addr flush dev eth0; ip -n $P$k addr add fd99::$k/64 dev eth0 nodad; ip -n $P$k route add default via fd99::fe dev eth0; done; sleep 1
for k in 1 2; do start n$k $k $VS node --insecure --group g --id $k; done; sleep 5
type_in n1 "by IPv6"; sleep 1; show n1 n2
grep '^view' $W/n2.out | tail -1 | grep -q '{1,2}' || fail "they do not come together"
grep -q "by IPv6" $W/n2.out || fail "2 does not get what 1 sends"
start srv 1 $VS server --insecure --listen '[fd99::1]:7000'; sleep .5
for k in 3 4; do start n$k $((k - 2)) $VS node --insecure --group s --id $k --server '[fd99::1]:7000'; done; sleep 3; show n3 n4
grep '^view' $W/n4.out | tail -1 | grep -q '{3,4}' || fail "they do not come together at a server"
exit $bad
