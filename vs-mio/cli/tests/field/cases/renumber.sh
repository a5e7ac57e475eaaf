#!/bin/bash
# The address of a host changes while a member runs (DHCP): it must come back with the new
# address, or say that it cannot.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash renumber.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
say "== with a server"; start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k --server 10.99.0.1:7000; done; sleep 2
ip -n ${P}2 addr flush dev eth0; addr 2 10.99.0.77; say "host 2 is now 10.99.0.77"; sleep 5
for i in 1 2 3; do type_in n2 "line $i of 2"; sleep 5; done
TAIL=9 show n2; TAIL=3 show n1; grep attached $W/srv.out | tail -2
c=$(grep -c 'line . of 2' $W/n1.out); v=$(grep -c ^view $W/n1.out)
[ $c = 3 ] || fail "with a server: $c of 3 lines of 2 arrived at 1, though 2 is in its views; it is attached with its old data address, excluded after each line, taken up again ($v views at 1)"
for n in n1 n2 n3 srv; do kill ${PID[$n]}; done; sleep 1; ip -n ${P}2 addr flush dev eth0; addr 2 10.99.0.2
say "== without a server"; for k in 1 2 3; do start m$k $k $VS node --insecure --group h --id $k; done; sleep 3
ip -n ${P}2 addr flush dev eth0; addr 2 10.99.0.77; say "host 2 is now 10.99.0.77"; sleep 20; show m1 m2
grep '^view' $W/m1.out | tail -1 | grep -q '{1,2,3}' || fail "without a server: apart for ever (20 s here); 2 only says that the connection to the membership server was lost, which is the one inside itself"
exit $bad
