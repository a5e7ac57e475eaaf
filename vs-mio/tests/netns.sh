#!/usr/bin/env bash
# A group over a network that loses packets: three members in network namespaces of their own, each sending MESSAGES
# messages of log-uniform sizes from 1 byte to 64 KiB; in the middle one is killed and another joins. Then the checker
# has the last word, and every message of a survivor is counted at the other.
#
#   netns.sh VS LOSS_X100 MESSAGES [TRACES]     VS: the binary; LOSS_X100: 100 = 1 % of the datagrams that arrive
#
# Needs root, iproute2 and nftables. Everything that it makes goes when it ends; it ends by itself.
set -euo pipefail

vs=$(realpath "${1:?usage: netns.sh VS LOSS_X100 MESSAGES [TRACES]}")
loss=${2:?} messages=${3:?}
traces=${4:-$(mktemp -d)}
keep=${4:+yes}
limit_s=${LIMIT_S:-600}
ns=vs$$n
server=10.77.0.100:7000
pids=()

[ "$(id -u)" = 0 ] || { echo "netns.sh: skipped: network namespaces need root"; exit 0; }

cleanup() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for k in 0 1 2 3 4; do ip netns del "$ns$k" 2>/dev/null || true; done
    [ -n "$keep" ] || rm -rf "$traces"
}
trap cleanup EXIT

network() {
    ip netns add "${ns}0"
    ip -n "${ns}0" link set lo up
    ip -n "${ns}0" link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0
    ip -n "${ns}0" addr add 10.77.0.100/24 dev br0
    ip -n "${ns}0" link set br0 up
    for k in 1 2 3 4; do
        ip netns add "$ns$k"
        ip -n "$ns$k" link set lo up
        ip link add eth0 netns "$ns$k" type veth peer name "v$k" netns "${ns}0"
        ip -n "${ns}0" link set "v$k" master br0 up
        ip -n "$ns$k" addr add "10.77.0.$k/24" dev eth0
        ip -n "$ns$k" link set eth0 up
        ip -n "$ns$k" route add 224.0.0.0/4 dev eth0
        # Independent losses: the kernel cuts runs of datagrams before they reach the rule.
        ip netns exec "$ns$k" ethtool -K eth0 gro off gso off tx-udp-segmentation off >/dev/null 2>&1 || true
        [ "$loss" = 0 ] || ip netns exec "$ns$k" nft -f - <<EOF
table netdev loss { chain c { type filter hook ingress device "eth0" priority 0;
    ip protocol udp numgen random mod 10000 < $loss counter drop; } }
EOF
    done
}

# A group of three survives the loss of one and the coming of another: the member's trace says how far it is.
member() { # ID
    ip netns exec "$ns$1" "$vs" node --group storm --server "$server" --id "$1" \
        --bind "10.77.0.$1" --interface "10.77.0.$1" --trace "$traces/$1.jsonl" \
        --generate "$messages" --generate-members 3 --sizes 1..65536 --seed "$1" \
        --leave-at-eof >/dev/null 2>"$traces/$1.err" </dev/null &
    pids+=($!)
    eval "member_$1=$!"
}

sent() { grep -c '"ev":"send"' "$traces/$1.jsonl" 2>/dev/null || true; }

wait_for() { # SECONDS CONDITION...
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || { echo "netns.sh: not within its time: $*" >&2; tail -n 3 "$traces"/*.err >&2; exit 1; }
        read -rt 0.2 <> <(:) || true
    done
}

listening() { grep -q listening "$traces/server.out" 2>/dev/null; }
half_way() { [ "$(sent 1)" -ge $((messages / 2)) ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }

mkdir -p "$traces"
# What an earlier run left would count as progress of this one.
rm -f "$traces"/[1-4].jsonl
network
ip netns exec "${ns}0" "$vs" server --listen "$server" >"$traces/server.out" 2>&1 &
pids+=($!)
wait_for 10 listening
started=$SECONDS
for k in 1 2 3; do member "$k"; done
wait_for "$limit_s" half_way
# shellcheck disable=SC2154
kill -9 "$member_3"
member 4
wait_for "$limit_s" ended "$member_1"
wait_for "$limit_s" ended "$member_2"
wait_for "$limit_s" ended "$member_4"
took=$((SECONDS - started))

"$vs" check "$traces"/[1-4].jsonl
for pair in "1 2" "2 1"; do
    set -- $pair
    got=$(grep '"ev":"deliver"' "$traces/$1.jsonl" | grep -c "\"from\":$2,")
    echo "$1 delivered $got of the $messages messages of $2"
    [ "$got" = "$messages" ] || exit 1
done
echo "netns.sh: loss $loss/10000, 3 senders of $messages messages, one killed, one joined: $took s"
