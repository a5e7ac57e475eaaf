#!/bin/bash
# The default route leads to containers (docker) or into a VPN, the others are on the LAN: the node
# must say so and name the interface that leads there.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash default_route_docker.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 2
ip -n ${P}1 link add docker0 type bridge; ip -n ${P}1 link set docker0 up; ip -n ${P}1 addr add 172.17.0.1/16 dev docker0
ip -n ${P}1 route replace default via 172.17.0.2 dev docker0
start n1 1 $VS node --insecure --group g --id 1; sleep 1
start n2 2 $VS node --insecure --group g --id 2; sleep 1; show n1 n2
grep -q "172.17.0.1 is told to the others, an address of docker0.*--interface: eth0 (10.99.0.1)" $W/n1.err || fail "1 does not name the interface of the LAN"
grep -q "is told to the others" $W/n2.err && fail "2 has nothing to choose from, and is told to"
# what is said works
start n3 1 $VS node --insecure --group g --id 3 --interface eth0; sleep 2; show n3
grep '^view' $W/n3.out | tail -1 | grep -q '2,3' || fail "3 does not meet 2"
exit $bad
