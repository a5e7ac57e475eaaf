#!/bin/bash
# A firewall stops TCP between two of three hosts, in one direction, and lets the rest through: no
# view of all three, or of pairs in turn, without a word; both ends of the blocked way are named.
# Guards: "heard" is not taken for "reached"; the direction is told.
# needs: root, iproute2, nftables. Usage: [VS=/path/to/vs] bash tcp_blocked_pair.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
command -v nft >/dev/null || { echo "nft is missing"; exit 77; }
net 2
for k in 1 2; do ip netns exec $P$k nft 'add table inet cut; add chain inet cut in { type filter hook input priority 0; }; add rule inet cut in tcp flags & (syn|ack) == syn drop'; done
for k in 1 2; do start n$k $k $VS node --insecure --group g --id $k; done; sleep 10; show n1 n2
for k in 1 2; do grep -q "beacons of 10.99.0.$((3 - k)):.* arrive, and no connection" $W/n$k.err || fail "$k does not name the other"; done
[ $(cat $W/n?.err | grep -c "beacons of .* arrive, and no") -le 4 ] || fail "it is said again and again"
for k in 1 2; do ip netns exec $P$k nft delete table inet cut; done; sleep 8
grep '^view' $W/n1.out | tail -1 | grep -q '{1,2}' || { show n1 n2; fail "they do not come together once TCP is let in"; }
exit $bad
