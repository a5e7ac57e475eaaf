#!/bin/bash
# A process that may be in views of one alone (--members-max 1) meets a group of two: one line that
# names the limit, and then it asks less and less often.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash no_room.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 1
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
for k in 1 2; do start n$k 1 $VS node --insecure --group g --id $k --server 10.99.0.1:7000; done; sleep 1
start n3 1 $VS node --insecure --group g --id 3 --server 10.99.0.1:7000 --members-max 1; sleep 12; show n3
said=$(grep -c "there is no room" $W/n3.err)
[ $said -ge 1 ] && grep -q members_max $W/n3.err || fail "the limit is not named"
[ $said -le 5 ] || fail "it is said $said times in 12 s"
[ $(grep -c ^view $W/n1.out) -le 3 ] || fail "the views of the others change for it"
exit $bad
