#!/bin/bash
# A member that is cut off from all others and from the server must learn it: --primary-of is for
# 'where only one side may go on'.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash stale_primary_server.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k --server 10.99.0.1:7000 --primary-of 1,2,3; done; sleep 2
say "cable of host 2 out"; ip -n ${P}0 link set v2 down; sleep 15
type_in n2 "order of 2, cut off"; type_in n1 "order of 1"; sleep 1; show n1 n2
[ "$(grep -E '^(view|the view)' $W/n2.out | tail -1)" = "the view is primary" ] && grep -q "order of 2" $W/n2.out && fail "15 s after the cut 2 still delivers in {1,2,3}, which it was told is primary, while {1,3} is primary, too; nothing on its standard output (or in --json) says otherwise"
exit $bad
