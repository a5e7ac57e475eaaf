#!/bin/bash
# The network comes up after the process (boot order, a VPN): it must not stay on the loopback
# interface for good. An address that goes and comes back is waited for.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash late_network.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
ip -n ${P}2 link set eth0 down; ip -n ${P}2 addr flush dev eth0
say "== without a server: host 2 has no network when its node starts"
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k; done; sleep 2
ip -n ${P}2 link set eth0 up; addr 2 10.99.0.2; say "the network of host 2 is up"; sleep 6
show n1 n2
grep '^view' $W/n2.out | tail -1 | grep -q '{1,2,3}' || fail "2 stays alone, though its network is up"
say "== the address of host 3 goes, and comes back after 4 s"
ip -n ${P}3 addr flush dev eth0; sleep 4; addr 3 10.99.0.3; sleep 5; show n3
for k in 1 2 3; do grep '^view' $W/n$k.out | tail -1 | grep -q '{1,2,3}' || fail "$k is not in a view of all, 5 s after the address came back"; done
type_in n3 "back"; sleep 1; grep -q "3: back" $W/n1.out || fail "what 3 says does not arrive"
for k in 1 2 3; do kill ${PID[n$k]}; done; sleep 1
say "== with a server: host 2 has no way to it yet"
start srv 1 $VS server --insecure --listen 10.99.0.1:7000
ip -n ${P}2 link set eth0 down; ip -n ${P}2 addr flush dev eth0
for k in 1 2; do start m$k $k $VS node --insecure --group h --id $k --server 10.99.0.1:7000 --connect-ms 10000; done; sleep 2
ip -n ${P}2 link set eth0 up; addr 2 10.99.0.2; sleep 4; show m2
grep '^view' $W/m2.out | tail -1 | grep -q '{1,2}' || fail "with a server: 2 gives up before the network is up"
exit $bad
