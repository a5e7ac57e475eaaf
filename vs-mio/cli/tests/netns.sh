#!/usr/bin/env bash
# A group over a network that loses packets: three members in network namespaces of their own, each
# sending MESSAGES messages of log-uniform sizes from 1 byte to 64 KiB; in the middle one is killed
# and another joins. Then the checker has the last word, and every message of a survivor is counted
# at the other.
#
#   netns.sh VS LOSS_X100 MESSAGES [TRACES] VS: the binary; LOSS_X100: 100 = 1 % of the datagrams
#   that arrive
#
# Needs root, iproute2 and nftables. Everything that it makes goes when it ends; it ends by itself.
set -euo pipefail

vs=$(realpath "${1:?usage: netns.sh VS LOSS_X100 MESSAGES [TRACES]}")
loss=${2:?} messages=${3:?}
traces=${4:-$(mktemp -d)}
keep=${4:+yes}
limit_s=${LIMIT_S:-600}
members=4
look_s=$((messages / 20000 + 1))
# shellcheck source=vs-mio/cli/tests/netns-common.sh
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

# It stays when it has sent all: what the others still send is its, too. Its trace says how far it
# is.
sender() { # ID
    member "$1" --generate "$messages" --generate-members 3 --sizes 1..65536 --seed "$1"
}

count() { # ID PATTERN
    local n
    n=$(grep -c "$2" "$traces/$1.jsonl" 2>/dev/null || true)
    echo "${n:-0}"
}
in_view() { # ID MEMBERS
    [[ $(grep '"ev":"view"' "$traces/$1.jsonl" | tail -n 1) == *"\"members\":[$2]"* ]]
}
half_way() { [ "$(count 1 '"ev":"send"')" -ge $((messages / 2)) ]; }

# How many messages of FROM member ID has delivered: the same payload number is never delivered
# twice, says the checker.
delivered() { # ID FROM
    count "$1" "\"ev\":\"deliver\",\"from\":$2,"
}
has_all_of() { # ID FROM...
    local id=$1 from
    shift
    for from; do [ "$(delivered "$id" "$from")" -ge "$messages" ] || return 1; done
}

network
lossy
serve
started=$SECONDS
for k in 1 2 3; do sender "$k"; done
wait_for "$limit_s" half_way
# shellcheck disable=SC2154
kill -9 "$member_3"
# Who passes a view over that another installs does not hear what is sent in it: so one change after
# the other.
for k in 1 2; do wait_for "$limit_s" in_view "$k" 1,2; done
sender 4
# The survivors miss nothing of each other; of the newcomer all that it sent in a view with them.
wait_for "$limit_s" has_all_of 1 1 2 4
wait_for "$limit_s" has_all_of 2 1 2 4
wait_for "$limit_s" has_all_of 4 4
took=$((SECONDS - started))
for k in 1 2 4; do
    id=member_$k
    kill -TERM "${!id}"
    wait_for 20 ended "${!id}"
done

"$vs" check "$traces"/[1-4].jsonl
for k in 1 2; do
    for from in 1 2 4; do
        got=$(delivered "$k" "$from")
        [ "$got" = "$messages" ] || { echo "$k delivered $got of the $messages messages of $from" >&2; exit 1; }
    done
done
echo "netns.sh: loss $loss/10000, 3 senders of $messages messages, one killed, one joined: $took s"
