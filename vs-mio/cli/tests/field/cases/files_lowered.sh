#!/bin/bash
# The limit of open files of a running server is lowered (systemd, a container's limit, files that
# something else in the process opened): it must say that it accepts no connection, and go on when
# there is room again.
# needs: root, iproute2, prlimit. Usage: [VS=/path/to/vs] bash files_lowered.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
command -v prlimit >/dev/null || { echo "prlimit is missing"; exit 77; }
net 1
start srv 1 $VS server --insecure --listen 10.99.0.1:7000; sleep .5
start n1 1 $VS node --insecure --group g --id 1 --server 10.99.0.1:7000; sleep 1
prlimit --pid ${PID[srv]} --nofile=3:
start n2 1 $VS node --insecure --group g --id 2 --server 10.99.0.1:7000 --connect-ms 20000; sleep 4; show srv n2
said=$(grep -c "cannot accept a connection: Too many open files" $W/srv.err)
[ $said -ge 1 ] || fail "the server says nothing of its limit"
[ $said -le 4 ] || fail "it is said $said times in 4 s"
prlimit --pid ${PID[srv]} --nofile=1024:; sleep 4
grep '^view' $W/n1.out | tail -1 | grep -q '{1,2}' || fail "2 does not come in when there is room again"
exit $bad
