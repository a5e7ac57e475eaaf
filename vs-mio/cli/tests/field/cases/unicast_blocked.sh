#!/bin/bash
# A firewall lets multicasts and TCP in at one host and stops unicast UDP: repairs do not arrive.
# The member there has to name it before anything is lost, and say when it is over (--json status).
# Guards: unicast is asked for through the group (endpoint/reach/alone.rs); before, nobody said
# anything, or "datagrams of more than 1200 bytes do not arrive", which is false.
# needs: root, iproute2, nftables. Usage: [VS=/path/to/vs] bash unicast_blocked.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
command -v nft >/dev/null || { echo "nft is missing"; exit 77; }
net 3
ip netns exec ${P}2 nft -f - <<RULES || exit 77
table inet blocked {
    chain in { type filter hook input priority 0; meta l4proto udp meta pkttype host counter drop; }
}
RULES
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k --status 10.99.0.$k:7800; done; sleep 3
# Full datagrams, so that their length is looked for, too.
for k in 1 2 3; do for i in $(seq 1 40); do type_in n$k "$(printf "%01200d" $i)"; done; done
sleep 15; TAIL=3 show n1 n2 n3
grep -q "datagrams of {[13].* to this process alone do not arrive" $W/n2.err || fail "2 does not say that unicast does not arrive"
grep -h "to this process alone" $W/n1.err $W/n3.err && fail "1 or 3 says so of itself"
grep -h "datagrams of more than" $W/n?.err && fail "the length of datagrams is blamed"
[ $(grep -c "to this process alone" $W/n2.err) -eq 1 ] || fail "it is said again"
status() { ip netns exec ${P}2 $VS status --insecure 10.99.0.2:7800 --json | grep -o '"unicast_missing_from":{"first":\[[^]]*\]'; }
status | grep -q '\[.*[13]' || fail "the status does not name it: $(status)"
ip netns exec ${P}2 nft delete table inet blocked
for i in $(seq 1 30); do sleep 1; status | grep -q '\[\]' && break; done
status | grep -q '\[\]' || fail "unicast is let in, and the status still says it is not: $(status)"
exit $bad
