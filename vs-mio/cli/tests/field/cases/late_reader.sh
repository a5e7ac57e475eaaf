#!/bin/bash
# A member is stopped for two seconds while others send: the system drops what its buffers have no
# room for. It has to say so, once, with the number, and its status has to have it.
# Guards: what is lost at this host (overload) is told from what the network loses.
# needs: root, iproute2, python3. Usage: [VS=/path/to/vs] bash late_reader.sh
# All happens in network namespaces of its own, gone at the end. Exit status 0: as it should be;
# 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is missing"; exit 77; }
net 3
for k in 1 2; do start n$k $k $VS node --insecure --group g --id $k --peer-ms 10000 --server-silence-ms 9000; done
start n3 3 $VS node --insecure --group g --id 3 --peer-ms 10000 --server-silence-ms 9000 --status 10.99.0.3:7800; sleep 3
# Beside the group, as its own window does not fill the buffers that the system grants here.
port=$(ip netns exec ${P}3 cat /proc/net/udp | awk '$2 ~ /^0300630A:/ {print $2}' | head -1 | cut -d: -f2); port=$((16#$port))
kill -STOP ${PID[n3]}
ip netns exec ${P}1 python3 - $port <<'PY' || exit 77
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(12000):
    s.sendto(b"x" * 1400, ("10.99.0.3", int(sys.argv[1])))
    if i % 200 == 0:
        time.sleep(.005)
PY
kill -CONT ${PID[n3]}; sleep 8; show n3
grep -q "the system dropped [0-9]* datagrams so far" $W/n3.err || fail "3 does not say that datagrams were dropped"
[ $(grep -c "the system dropped" $W/n3.err) -le 1 ] || fail "it is said more than once a minute"
ip netns exec ${P}3 $VS status --insecure 10.99.0.3:7800 --json | grep -q '"overflowed":[1-9]' || fail "the status does not have the number"
grep -h "the system dropped" $W/n1.err $W/n2.err && fail "1 or 2 say so, too"
exit $bad
