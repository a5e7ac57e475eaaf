#!/bin/bash
# One member with a --server-silence-ms below the signs of life of the others: refused, warned of
# or damped, but not a view eight times a second for all.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash silence_mismatch.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 3
for k in 1 2 3; do start n$k $k $VS node --insecure --group g --id $k $([ $k = 2 ] && echo --server-silence-ms 200); done; sleep 2
for i in $(seq 1 100); do for k in 1 2 3; do type_in n$k "$i"; done; sleep .2; done; sleep 1
v=$(grep -c ^view $W/n1.out); echo "   $v views at 1 in 22 s; lines of 2 at 1: $(grep -c '^2: ' $W/n1.out) of 100"; sort $W/n2.err | uniq -c | sort -rn | head -3 | cut -c1-150; cat $W/n1.err | cut -c1-150
[ $v -gt 20 ] && fail "one mistyped time at one member changes the view of all $((v/22)) times a second, without damping and without a word that names the option"
exit $bad
