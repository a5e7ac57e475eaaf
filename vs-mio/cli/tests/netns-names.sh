#!/usr/bin/env bash
# Servers that are known by name, in a network whose names come and go: a name that is not there yet
# is waited for, one that is unknown does not hide another one, and one that moves to another
# address is followed. A resolver that says nothing takes no longer than `--connect-ms`.
#
#   netns-names.sh VS [TRACES]       VS: the binary
#
# Needs root, iproute2 and nftables. Everything that it makes goes when it ends; it ends by itself.
set -euo pipefail

vs=$(realpath "${1:?usage: netns-names.sh VS [TRACES]}")
traces=${2:-$(mktemp -d)}
keep=${2:+yes}
limit_s=${LIMIT_S:-30}
members=3
# shellcheck source=vs-mio/cli/tests/netns-common.sh
. "$(dirname "$0")/netns-common.sh"

# From now on namespace K knows, besides itself, NAME as HOST of the network.
knows() { # K [HOST NAME]
    local dir=/etc/netns/$ns$1
    mkdir -p "$dir"
    echo "nameserver ${prefix}100" >"$dir/resolv.conf"
    # The file that programs in the namespace see stays the same one.
    printf '127.0.0.1 localhost\n%s\n' "${2:+$prefix$2 $3}" >"$dir/hosts"
}

# Starts a server ID in namespace K at HOST, with OPTIONS besides; its process id is in server_pid.
server_at() { # ID K HOST PORT OPTIONS...
    local id=$1 k=$2 listen
    listen=$(at "$3" "$4")
    shift 4
    ip netns exec "$ns$k" "$vs" server --insecure --id "$id" --listen "$listen" "$@" \
        >"$traces/server$id.out" 2>"$traces/server$id.err" &
    server_pid=$!
    pids+=("$server_pid")
    wait_for 10 grep -qs listening "$traces/server$id.out"
}
says() { # FILE PATTERN
    wait_for "$limit_s" grep -q "$2" "$traces/$1"
}

# A node that finds no server ends soon, and says so.
ends_soon() { # OPTIONS...
    local since=$SECONDS status=0
    ip netns exec "${ns}3" "$vs" node --insecure --group storm --id 3 --server nowhere:7000 --connect-ms 600 \
        "$@" \
        >"$traces/late.out" 2>&1 </dev/null || status=$?
    cat "$traces/late.out"
    [ "$status" = 1 ] && [ $((SECONDS - since)) -le 9 ] || exit 1
    grep -q "^vs: cannot .*nowhere:7000" "$traces/late.out" || exit 1
}

started=$SECONDS
network
for ((k = 0; k <= members; k++)); do knows "$k"; done
send=(--generate 1000000 --rate 100 --sizes 100 --generate-members 2)

# Of two names none is there yet; then the second one is.
service=(--server nowhere:7000 --server home:7000 --connect-ms 20000)
member 1 "${send[@]}"
says 1.err "nowhere:7000 cannot be looked up"
server_at 1 0 100 7000
first_server=$server_pid
knows 1 100 home
wait_for "$limit_s" is_in 1 1 1
knows 2 100 home
member 2 "${send[@]}"
for k in 1 2; do wait_for "$limit_s" is_in "$k" 1,2 "$([ "$k" = 1 ] && echo 1 || echo 2)"; done
for pair in "1 2" "2 1"; do
    set -- $pair
    wait_for "$limit_s" hears_more "$1" "$2" 0
done

# The server moves, and the name follows. The new one names a peer that is not there yet.
for k in 1 2; do knows "$k" 3 home; done
kill -9 "$first_server"
server_at 2 3 3 7000 --peer away:7001
for k in 1 2; do
    says server2.out "storm: $k attached"
    says "$k.err" "connected to a membership server again"
done
for pair in "1 2" "2 1"; do
    set -- $pair
    wait_for "$limit_s" hears_more "$1" "$2" "$(heard "$1" "$2")"
done
says server2.err "peer away:7001 cannot be looked up"
knows 3 100 away
server_at 3 0 100 7001
says server2.out "^server 3 connected"
[ "$(grep -c "cannot be looked up" "$traces/server2.err")" = 1 ] || exit 1
for k in 1 2; do [ "$(grep -c "nowhere:7000 cannot be looked up:" "$traces/$k.err")" -le 1 ] || exit 1; done

# A resolver that says nothing holds nobody up.
ip netns exec "${ns}0" nft -f - <<RULES
table inet silent {
    chain in { type filter hook input priority 0; udp dport 53 counter drop; }
}
RULES
ends_soon
ends_soon --bind "${prefix}3"

# shellcheck disable=SC2154
kill -TERM "$member_1" "$member_2"
for pid in "$member_1" "$member_2"; do wait_for 20 ended "$pid"; done
"$vs" check "$traces"/[12].jsonl
echo "netns-names.sh: names that come, move, stay unknown and hang: $((SECONDS - started)) s"
