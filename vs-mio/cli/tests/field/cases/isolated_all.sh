#!/bin/bash
# All cables of a group of three without a server are out: each is told that it has a view of its
# own, that is not primary.
# Guards: a member without any contact is told, though the server inside itself is fine.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash isolated_all.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k --primary-of 1,2,3; done; sleep 3
for k in 1 2 3; do ip -n ${P}0 link set v$k down; done; sleep 8; show n1 n2 n3
for k in 1 2 3; do
    grep '^view' $W/n$k.out | tail -1 | grep -q "{$k}" || fail "$k has no view of its own"
    [ "$(grep -E '^(view|the view)' $W/n$k.out | tail -1)" = "the view is primary" ] && fail "$k takes its view for primary"
done
exit $bad
