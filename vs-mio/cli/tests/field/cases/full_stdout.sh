#!/bin/bash
# Results that cannot be written (full disk, closed pipe) end in a sentence and status 1, not in
# a panic and not in status 0.
# needs: root, iproute2. Usage: [VS=/path/to/vs] bash full_stdout.sh
# All happens on the loopback of this host. Exit status 0: as it should be; 1: the fault shows.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
try() { "$@" > /dev/full 2> $W/e; r=$?; echo "   ${*:2} > /dev/full: status $r, $(grep -m1 -oE "panicked|cannot be written.*" $W/e || echo nothing said)"; [ $r = 1 ] || bad=1; }
try $VS perf --members 2 --seconds 1 --json; try $VS sim --seeds 0..20 --json; try $VS explore change
$VS server --listen 127.0.0.1:7599 > /dev/null 2>&1 & PID[s]=$!; sleep .5; try $VS status --json 127.0.0.1:7599
mkdir $W/t; $VS sim --seed 3 --traces $W/t > /dev/null; try $VS check $W/t
$VS perf --members 2 --seconds 1 --json 2> $W/e | true; echo "   perf --json | true: status ${PIPESTATUS[0]}, $(grep -m1 -o panicked $W/e)"
exit $bad
