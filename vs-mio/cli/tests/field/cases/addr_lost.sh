#!/bin/bash
# A member whose interface loses its address (ifdown, NetworkManager, DHCP expiry) must not stay
# in a primary view.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash addr_lost.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k --primary-of 1,2,3; done; sleep 3
say "address of host 2 goes"; ip -n ${P}2 addr flush dev eth0
sleep 15; type_in n2 "written while cut off"; type_in n1 "written by the rest"; sleep 1
show n1 n2
grep -q '{1,3}' $W/n1.out && grep -c 'is primary' $W/n1.out | grep -q 2 && say "1 and 3 have a primary view {1,3}"
[ "$(grep -E '^(view|the view)' $W/n2.out | tail -1)" = "the view is primary" ] && fail "15 s later 2 still holds {1,2,3} for its primary view, and delivers in it; with the cable out instead (ip link set v2 down) it has {2}, not primary, after 1 s"
exit $bad
