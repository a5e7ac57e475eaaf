#!/bin/bash
# Nobody reads what one of three members prints: the others go on after its accusation, it is not
# killed, and it says what happened once it is read again.
# Guards: a slow reader holds up the others for peer_ms at most.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash slow_reader.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
for k in 1 2; do start n$k $k $VS node --insecure --group g --id $k; done
mkfifo $W/slow $W/n3.in; exec 8<>$W/slow 9<>$W/n3.in
ip netns exec ${P}3 $VS node --insecure --group g --id 3 <$W/n3.in >$W/slow 2>$W/n3.err & PID[n3]=$!; sleep 3
for i in $(seq 1 3000); do type_in n1 "$(printf "%0300d" $i)"; done; sleep 8
TAIL=2 show n1 n2
grep -q "$(printf "%0300d" 3000)" $W/n2.out || fail "2 does not get all that 1 sends"
kill -0 ${PID[n3]} 2>/dev/null || fail "3 is gone"
cat <&8 >/dev/null & PID[cat]=$!; sleep 6; TAIL=4; sed 's/^/   n3: /' $W/n3.err | tail -4
grep '^view' $W/n1.out | tail -1 | grep -q '{1,2,3}' || fail "3 does not come back once it is read"
exit $bad
