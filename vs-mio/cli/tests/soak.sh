#!/usr/bin/env bash
# Two servers and five nodes; every two seconds a node is killed and started again. Memory and
# descriptors of those that stay (both servers, node 1) must be level.
#
#   soak.sh VS [SECONDS]     VS: the binary; 1200 s if nothing is said
#
# Needs no rights. Everything that it starts is gone when it ends.
set -euo pipefail

vs=$(realpath "${1:?usage: soak.sh VS [SECONDS]}")
seconds=${2:-1200}
# Growth that is allowed between a quarter of the time and its end: allocators keep some pages.
grow_kib=2048
grow_fds=8
dir=$(mktemp -d)
declare -A pid
stop() {
    for p in "${pid[@]}"; do kill -9 "$p" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 2' INT TERM

node() {
    "$vs" node --group soak --id "$1" --server 127.0.0.1:7431 --server 127.0.0.1:7432 \
        --interface 127.0.0.1 --multicast 239.86.83.9:7439 --generate 100000000 --rate 50 \
        --seed "$1" >"$dir/$1.out" 2>"$dir/$1.err" &
    pid[n$1]=$!
}
for s in 1 2; do
    "$vs" server --id $s --listen 127.0.0.1:743$s --peer 127.0.0.1:743$((3 - s)) \
        >"$dir/s$s.out" 2>"$dir/s$s.err" &
    pid[s$s]=$!
done
for k in 1 2 3 4 5; do node $k; done

# KiB of memory and number of descriptors of those that stay, in one line.
measure() {
    for who in s1 s2 n1; do
        kib=$(awk '/^VmRSS/ {print $2}' "/proc/${pid[$who]}/status")
        fds=$(find "/proc/${pid[$who]}/fd" -mindepth 1 | wc -l)
        printf '%s %s %s ' "$who" "$kib" "$fds"
    done
}

begun=$SECONDS kills=0 early=""
while [ $((SECONDS - begun)) -lt "$seconds" ]; do
    sleep 2
    k=$((2 + RANDOM % 4))
    kill -9 "${pid[n$k]}"
    wait "${pid[n$k]}" 2>/dev/null || true
    node $k
    kills=$((kills + 1))
    # What is said grows without end, and nobody reads it.
    : >"$dir/1.out"
    if [ -z "$early" ] && [ $((SECONDS - begun)) -ge $((seconds / 4)) ]; then early=$(measure); fi
done
late=$(measure)
echo "after a quarter: $early"
echo "at the end:      $late   ($kills kills in $seconds s)"
read -ra a <<<"$early"
read -ra b <<<"$late"
bad=0
for i in 0 3 6; do
    if [ $((b[i + 1] - a[i + 1])) -gt $grow_kib ] || [ $((b[i + 2] - a[i + 2])) -gt $grow_fds ]; then
        echo "${a[i]} grows: ${a[i + 1]} to ${b[i + 1]} KiB, ${a[i + 2]} to ${b[i + 2]} descriptors"
        bad=1
    fi
done
exit $bad
