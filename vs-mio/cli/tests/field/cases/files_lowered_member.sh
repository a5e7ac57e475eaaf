#!/bin/bash
# A member may open no more files when its server dies (the application beside it took them all): it
# must say so, name the limit, and come to another server when there is room again.
# needs: root, iproute2, prlimit. Usage: [VS=/path/to/vs] bash files_lowered_member.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
command -v prlimit >/dev/null || { echo "prlimit is missing"; exit 77; }
net 2
start srv 1 $VS server --insecure --listen 10.99.0.1:7000 --peer 10.99.0.1:7001
start srv2 1 $VS server --insecure --listen 10.99.0.1:7001 --id 2 --peer 10.99.0.1:7000; sleep .5
for k in 1 2; do start n$k $k $VS node --insecure --group g --id $k --server 10.99.0.1:7000 --server 10.99.0.1:7001; done; sleep 1
prlimit --pid ${PID[n2]} --nofile=3:; kill -9 ${PID[srv]}; sleep 5; show n2
said=$(grep -c "no connection can be opened: Too many open files.*ulimit" $W/n2.err)
[ $said -ge 1 ] || fail "the member does not say what keeps it from every server"
[ $said -le 4 ] || fail "it is said $said times in 5 s"
prlimit --pid ${PID[n2]} --nofile=1024:; sleep 4; show n2
grep -q "connected to a membership server again" $W/n2.err || fail "it does not come to another server when there is room again"
exit $bad
