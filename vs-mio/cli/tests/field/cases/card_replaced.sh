#!/bin/bash
# A network card is replaced by another with the same address (a driver that is loaded again, a
# container that is attached again): its multicast memberships are gone with the old one.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash card_replaced.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
replace() { ip -n $P$1 link del eth0; wire $1; addr $1 10.99.0.$1; }
say "== without a server: all cards are replaced in turn"
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k --name n$k; done; sleep 2
for k in 1 2 3; do replace $k; say "card of host $k replaced"; sleep 4; done; sleep 4
show n1 n2 n3
for k in 1 2 3; do grep '^view' $W/n$k.out | tail -1 | grep -q '{1,2,3}' || fail "$k is not in a view of all, 4 s after the last card was replaced"; done
for k in 1 2 3; do type_in n$k "after of n$k"; done; sleep 2
for k in 1 2 3; do for j in 1 2 3; do grep -q "after of n$j" $W/n$k.out || fail "what $j says does not arrive at $k"; done; done
grep -q "hear no multicast" $W/n?.err && fail "multicasts do not arrive any more"
for k in 1 2 3; do kill ${PID[n$k]}; done; sleep 1
say "== with a server: the card of host 2 is replaced"
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
for k in 1 2 3; do start m$k $k $VS node --insecure --group h --id $k --server 10.99.0.1:7000; done; sleep 2
replace 2; sleep 5; for k in 1 2 3; do type_in m$k "after of m$k"; done; sleep 3; show m1 m2
for k in 1 2 3; do for j in 1 2 3; do grep -q "after of m$j" $W/m$k.out || fail "with a server: what $j says does not arrive at $k"; done; done
exit $bad
