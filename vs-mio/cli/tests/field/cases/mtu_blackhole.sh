#!/bin/bash
# One path carries less than full datagrams (tunnel, VXLAN, a switch without jumbo frames): it
# must be found out, as multicasts that do not arrive are.
# needs: root, iproute2, ethtool. Usage: [VS=/path/to/vs] bash mtu_blackhole.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3; for k in 1 2 3; do ip netns exec $P$k ethtool -K eth0 gso off tx-udp-segmentation off >/dev/null 2>&1; done
ip -n ${P}0 link set v2 mtu 1400                       # the port of host 2; each eth0 still says 1500
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k --server 10.99.0.1:7000; done; sleep 2
L=$(printf 'z%.0s' $(seq 1400)); for i in $(seq 1 100); do for k in 1 2 3; do if [ $((i%5)) = 0 ]; then type_in n$k "$i $L"; else type_in n$k "$i"; fi; done; sleep .25; done; sleep 3
for k in 1 2 3; do echo "   at $k: $(for j in 1 2 3; do grep -c "^$j: " $W/n$k.out; done | xargs echo lines of 1, 2, 3 delivered, of 100 each:); $(grep -c ^view $W/n$k.out) views"; done; sort $W/n?.err | uniq -c | cut -c1-160
[ $(grep -c '^2: ' $W/n1.out) = 100 ] || { grep -qiE "mtu|datagram-bytes" $W/n?.err || fail "2 is excluded and taken up again for ever, most lines are lost on the way, and no word of MTU or --datagram-bytes"; }
exit $bad
