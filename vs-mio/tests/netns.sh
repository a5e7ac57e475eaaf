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
members=4
# shellcheck source=vs-mio/tests/netns-common.sh
. "$(dirname "$0")/netns-common.sh"

lossy() {
    local k
    for ((k = 1; k <= members; k++)); do
        # Independent losses: the kernel cuts runs of datagrams before they reach the rule.
        ip netns exec "$ns$k" ethtool -K eth0 gro off gso off tx-udp-segmentation off >/dev/null 2>&1 || true
        [ "$loss" = 0 ] || ip netns exec "$ns$k" nft -f - <<RULES
table netdev loss {
    chain c {
        type filter hook ingress device "eth0" priority 0
        ip protocol udp numgen random mod 10000 < $loss counter drop
    }
}
RULES
    done
}

# Nobody leaves before all have everything: who has gone hears nothing more.
sender() { # ID
    member "$1" --generate "$messages" --generate-members 3 --sizes 1..65536 --seed "$1"
}

sent() { grep -c '"ev":"send"' "$traces/$1.jsonl" 2>/dev/null || true; }
delivered() { grep '"ev":"deliver"' "$traces/$1.jsonl" | grep -c "\"from\":$2," || true; }
has_all() { [ "$(delivered "$1" "$2")" -ge "$messages" ]; }
half_way() { local n; n=$(sent 1); [ "${n:-0}" -ge $((messages / 2)) ]; }

network
lossy
serve
started=$SECONDS
for k in 1 2 3; do sender "$k"; done
wait_for "$limit_s" half_way
# shellcheck disable=SC2154
kill -9 "$member_3"
sender 4
for pair in "1 2" "2 1" "1 4" "2 4"; do
    # shellcheck disable=SC2086
    wait_for "$limit_s" has_all $pair
done
took=$((SECONDS - started))

# shellcheck disable=SC2154
kill -TERM "$member_1" "$member_2" "$member_4"
for pid in "$member_1" "$member_2" "$member_4"; do wait_for "$limit_s" ended "$pid"; done

"$vs" check "$traces"/[1-4].jsonl
for pair in "1 2" "2 1" "1 4" "2 4"; do
    set -- $pair
    echo "$1 delivered $(delivered "$1" "$2") of the $messages messages of $2"
    [ "$(delivered "$1" "$2")" = "$messages" ] || exit 1
done
echo "netns.sh: loss $loss/10000, 3 senders of $messages messages, one killed, one joined: $took s"
