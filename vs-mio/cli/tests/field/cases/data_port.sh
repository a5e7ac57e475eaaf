#!/bin/bash
# A firewall lets one port through for data: --data-port. It is kept when the card is replaced, and
# one that is taken is named.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash data_port.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 2
port() { ip netns exec $P$1 ss -Huln "src $2:7600" | wc -l; }
for k in 1 2; do start n$k $k $VS node --insecure --group g --id $k --interface eth0 --data-port 7600; done; sleep 2
for k in 1 2; do [ $(port $k 10.99.0.$k) = 1 ] || fail "$k does not have the port"; done
ip netns exec ${P}1 $VS node --insecure --group g --id 3 --interface eth0 --data-port 7600 </dev/null 2>$W/n3.err && fail "two have one port"
grep -q "port 7600 is taken: choose another for the unicast socket (see --data-port)" $W/n3.err || fail "the port that is taken is not named"
ip -n ${P}1 link del eth0; sleep 1; wire 1; addr 1 10.99.0.1; sleep 4; show n1 n2; cat $W/n3.err
[ $(port 1 10.99.0.1) = 1 ] || fail "1 does not keep the port with another card"
type_in n1 hello; sleep 1
grep -q hello $W/n2.out || fail "2 does not hear 1 with another card"
exit $bad
