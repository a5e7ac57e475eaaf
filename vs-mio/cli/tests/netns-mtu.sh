#!/usr/bin/env bash
# Members whose interfaces have a smaller MTU than that of Ethernet, as in tunnels and overlays, and
# who are told nothing of it: they choose datagrams that fit, and who joins them takes these over.
# Who has room for less than the group uses is refused, and told why.
#
#   netns-mtu.sh VS [TRACES]         VS: the binary
#
# Needs root, iproute2 and nftables. Everything that it makes goes when it ends; it ends by itself.
set -euo pipefail

vs=$(realpath "${1:?usage: netns-mtu.sh VS [TRACES]}")
traces=${2:-$(mktemp -d)}
keep=${2:+yes}
limit_s=${LIMIT_S:-30}
members=3
# shellcheck source=vs-mio/cli/tests/netns-common.sh
. "$(dirname "$0")/netns-common.sh"

started=$SECONDS
network
for k in 1 2; do ip -n "$ns$k" link set eth0 mtu 1400; done
send=(--generate 1000000 --rate 100 --sizes 1..20000 --generate-members 3)
service=()

# Without a server; the one with the larger MTU comes last.
for k in 1 2; do member "$k" "${send[@]}"; done
for k in 1 2; do
    wait_for "$limit_s" grep -q "takes datagrams of 1372 bytes" "$traces/$k.err"
    wait_for "$limit_s" grep -q '^view .* {1,2}, ' "$traces/$k.out"
done
member 3 "${send[@]}"
for pair in "1 2" "1 3" "2 1" "2 3" "3 1" "3 2"; do
    set -- $pair
    wait_for "$limit_s" hears_more "$1" "$2" 100
done
for k in 1 2 3; do
    if grep -E "do not fit|do not arrive" "$traces/$k.err"; then exit 1; fi
done
# shellcheck disable=SC2154
kill -TERM "$member_1" "$member_2" "$member_3"
for pid in "$member_1" "$member_2" "$member_3"; do wait_for 20 ended "$pid"; done
"$vs" check "$traces"/[1-3].jsonl

# The other way round there is no room, and both values are told.
service=(--server "$server")
serve
rm "$traces"/[1-3].*
member 3
wait_for "$limit_s" is_in 3 3 3
status=0
ip netns exec "${ns}1" timeout "$limit_s" "$vs" node --insecure --group storm "${service[@]}" --id 1 \
    </dev/null >"$traces/refused" 2>&1 || status=$?
cat "$traces/refused"
[ "$status" = 1 ] || exit 1
grep -q "datagram_bytes is 1472 in the group and 1372 in this process" "$traces/refused"
echo "netns-mtu.sh: datagrams of 1372 bytes where the MTU is 1400, also by who could send more: $((SECONDS - started)) s"
