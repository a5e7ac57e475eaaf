#!/usr/bin/env bash
# A member whose datagrams are blocked while its connection to the membership server lives: it is
# accused and excluded, the group goes on, and when the way is free it comes back. Then the checker
# has the last word.
#
#   netns-blocked.sh VS [TRACES]     VS: the binary
#
# Needs root, iproute2 and nftables. Everything that it makes goes when it ends; it ends by itself.
set -euo pipefail

vs=$(realpath "${1:?usage: netns-blocked.sh VS [TRACES]}")
traces=${2:-$(mktemp -d)}
keep=${2:+yes}
limit_s=${LIMIT_S:-60}
peer_ms=1000
members=3
# shellcheck source=vs-mio/cli/tests/netns-common.sh
. "$(dirname "$0")/netns-common.sh"

# Both ways: what the member sends is refused to it, what others send does not arrive.
block() {
    ip netns exec "${ns}3" nft -f - <<RULES
table inet blocked {
    chain in { type filter hook input priority 0; meta l4proto udp counter drop; }
    chain out { type filter hook output priority 0; meta l4proto udp counter drop; }
}
RULES
}
unblock() { ip netns exec "${ns}3" nft delete table inet blocked; }

network
serve
for k in 1 2 3; do
    member "$k" --peer-ms "$peer_ms" --generate 1000000 --rate 100 --sizes 100 --generate-members 3
done
for k in 1 2 3; do wait_for "$limit_s" hears_more "$k" 3 0; done

since=$(date +%s%N)
block
for k in 1 2; do wait_for "$limit_s" is_in "$k" 1,2 1,2; done
echo "UDP blocked to the view without the member, peer-ms $peer_ms: at most $((($(date +%s%N) - since) / 1000000)) ms"
for pair in "1 2" "2 1"; do
    set -- $pair
    wait_for "$limit_s" hears_more "$1" "$2" "$(heard "$1" "$2")"
done
wait_for "$limit_s" grep -q "accused by .*trying again" "$traces/3.err"

# Nor can a member start there, and it says so.
status=0
ip netns exec "${ns}3" "$vs" node --insecure --group storm --server "$server" --id 4 --bind 10.77.0.3 \
    </dev/null >"$traces/start.out" 2>&1 || status=$?
cat "$traces/start.out"
[ "$status" = 1 ] || exit 1
grep -q "^vs: interface 10.77.0.3 does not carry multicast: .*--interface.*--unicast" "$traces/start.out"

unblock
# Excluded, then joined again: nobody comes with it.
wait_for "$limit_s" is_in 3 1,2,3 3
before=$(heard 1 3)
wait_for "$limit_s" hears_more 1 3 "$before"

# shellcheck disable=SC2154
kill -TERM "$member_1" "$member_2" "$member_3"
for pid in "$member_1" "$member_2" "$member_3"; do wait_for "$limit_s" ended "$pid"; done
"$vs" check "$traces"/[1-3].jsonl
echo "netns-blocked.sh: blocked, excluded, gone on without, and come back"
