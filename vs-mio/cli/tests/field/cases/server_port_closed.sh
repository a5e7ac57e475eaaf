#!/bin/bash
# A firewall drops what goes to the port of the server that a node names (no refusal comes back):
# the node says that it reaches no server, once in a while, and gives up with a sentence.
# Guards: an unreachable server is named while the node waits, not only at the end.
# needs: root, iproute2, nftables. Usage: [VS=/path/to/vs] bash server_port_closed.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
command -v nft >/dev/null || { echo "nft is missing"; exit 77; }
net 2
ip netns exec ${P}1 nft 'add table inet cut; add chain inet cut in { type filter hook input priority 0; }; add rule inet cut in tcp dport 7000 drop'
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
start n2 2 $VS node --insecure --group g --id 2 --server 10.99.0.1:7000 --connect-ms 6000; sleep 3; show n2
grep -q "10.99.0.1:7000" $W/n2.err || fail "after 3 s 2 has not named the server"
wait ${PID[n2]}; status=$?; show n2
[ $status = 1 ] || fail "it ends with status $status"
[ $(grep -c "10.99.0.1:7000" $W/n2.err) -le 8 ] || fail "it is said again and again"
exit $bad
