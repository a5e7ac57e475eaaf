#!/bin/bash
# A firewall lets multicasts through and stops TCP at one host: the nodes hear each other and do
# not come together, which has to be said at both ends.
# needs: root, iproute2, nftables. Usage: [VS=/path/to/vs] bash tcp_blocked.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
command -v nft >/dev/null || { echo "nft is missing"; exit 77; }
net 3
ip netns exec ${P}2 nft -f - <<RULES || exit 77
table inet blocked {
    chain in { type filter hook input priority 0; meta l4proto tcp counter drop; }
}
RULES
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k; done; sleep 12; show n1 n2
for k in 1 2; do grep -q "beacons of 10.99.0.* arrive, and no connection" $W/n$k.err || fail "$k does not say that beacons arrive and TCP does not"; done
grep -q "beacons of 10.99.0.2:" $W/n1.err || fail "1 does not name 2"
[ $(cat $W/n?.err | grep -c "beacons of .* arrive, and no") -le 4 ] || fail "it is said again and again"
exit $bad
