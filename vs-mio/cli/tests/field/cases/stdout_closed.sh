#!/bin/bash
# Who reads the output of a node goes away (`vs node | head -1`), and the disk of its trace is full
# from the start: a sentence and status 1 or a node that goes on, and no panic.
# Guards: what cannot be written ends no process without a word.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash stdout_closed.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
net 1
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
mkfifo $W/in; exec 9<>$W/in
ip netns exec ${P}1 $VS node --insecure --group g --id 1 --server 10.99.0.1:7000 <$W/in 2>$W/closed.err | head -1 >/dev/null &
reader=$!; sleep 2; for i in 1 2 3; do echo "line $i" >&9; sleep .3; done; sleep 1
ip netns exec ${P}1 timeout 5 $VS node --insecure --group h --id 1 --server 10.99.0.1:7000 --trace /dev/full <$W/in >$W/full.out 2>$W/full.err; status=$?
cat $W/closed.err $W/full.err | cut -c1-160
grep -h panicked $W/closed.err $W/full.err && fail "it panics"
grep -q "cannot be written\|cannot write\|No space left" $W/full.err || fail "nothing is said of the trace (status $status)"
kill $reader 2>/dev/null
exit $bad
