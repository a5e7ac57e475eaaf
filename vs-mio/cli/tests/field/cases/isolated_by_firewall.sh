#!/bin/bash
# A firewall at one member, whose interface and address stay, drops all that comes in; the server
# elsewhere is out of reach, too. The member is told that its view holds no more, the others go on.
# Guards: a primary view is a lease at both sides, whatever cut them off.
# needs: root, iproute2, nftables. Usage: [VS=/path/to/vs] bash isolated_by_firewall.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
command -v nft >/dev/null || { echo "nft is missing"; exit 77; }
net 3
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k --server 10.99.0.1:7000 --primary-of 1,2,3; done; sleep 2
ip netns exec ${P}2 nft 'add table inet cut; add chain inet cut in { type filter hook input priority 0; policy drop; }'
sleep 8; show n1 n2
[ "$(grep -E '^(view|the view)' $W/n2.out | tail -1)" = "the view is primary" ] && fail "2 takes its view for primary"
grep '^view' $W/n1.out | tail -1 | grep -q '{1,3}' || fail "1 and 3 have no view"
grep -A1 '^view.*{1,3}' $W/n1.out | grep -q 'is primary' || fail "the view of 1 and 3 is not primary"
exit $bad
