#!/usr/bin/env bash
# Groups over IPv6, of three members in network namespaces of their own: with a membership server,
# without one, and without IP multicast. Each member sends; one is killed, and the others go on.
# The checker judges each group, and addresses are read as they are printed.
#
#   netns-ipv6.sh VS [TRACES]        VS: the binary
#
# Needs root, iproute2 and nftables. Everything that it makes goes when it ends; it ends by itself.
set -euo pipefail

vs=$(realpath "${1:?usage: netns-ipv6.sh VS [TRACES]}")
traces=${2:-$(mktemp -d)}
keep=${2:+yes}
limit_s=${LIMIT_S:-30}
members=3
prefix=fd77:7673::
# shellcheck source=vs-mio/cli/tests/netns-common.sh
. "$(dirname "$0")/netns-common.sh"

# A group, its members started with OPTIONS besides. NAME is the directory of its traces.
group() { # NAME OPTIONS...
    traces=$scratch/$1
    shift
    mkdir -p "$traces"
    local k pair
    for k in 1 2 3; do
        rm -f "$traces/$k.jsonl"
        member "$k" --generate 1000000 --rate 100 --sizes 1..4000 --generate-members 3 "$@"
    done
    for pair in "1 2" "1 3" "2 1" "2 3" "3 1" "3 2"; do
        set -- $pair
        wait_for "$limit_s" hears_more "$1" "$2" 20
    done
    # shellcheck disable=SC2154
    kill -9 "$member_3"
    for k in 1 2; do wait_for "$limit_s" is_in "$k" 1,2 1,2; done
    for pair in "1 2" "2 1"; do
        set -- $pair
        wait_for "$limit_s" hears_more "$1" "$2" "$(heard "$1" "$2")"
    done
}

# The survivors leave, and the checker judges what the group did.
end() {
    # shellcheck disable=SC2154
    kill -TERM "$member_1" "$member_2"
    for pid in "$member_1" "$member_2"; do wait_for 20 ended "$pid"; done
    "$vs" check "$traces"/[1-3].jsonl
}

# Some line of NAME matches PATTERN.
says() { # NAME PATTERN
    grep -Eq "$2" "$traces/$1" || { echo "$1 does not say $2:" >&2; cat "$traces/$1" >&2; exit 1; }
}

own='\[fd77:7673::[123]\]:[0-9]+'
started=$SECONDS
network
serve
group server --status "[::1]:7100"
says ../server.out '^membership server 1 listening on \[fd77:7673::100\]:7000$'
says ../server.out "storm: 1 attached.*$own"
says 1.err 'vs status \[::1\]:7100$'
ip netns exec "${ns}1" "$vs" status "[::1]:7100" >"$traces/node.status"
says node.status '\[fd77:7673::100\]:7000'
end
group copies --unicast
end

# shellcheck disable=SC2154
kill -TERM "$server_pid"
wait_for 10 ended "$server_pid"
status=0
ip netns exec "${ns}1" "$vs" node --insecure --group storm --server "$server" >"$traces/refused" 2>&1 || status=$?
[ "$status" = 1 ] || exit 1
says refused 'the membership server \[fd77:7673::100\]:7000 .* `vs server --listen \[fd77:7673::100\]:7000`'

service=()
group beacons
# A host without IPv4 needs no option.
ip netns exec "${ns}3" "$vs" node --insecure --group storm --id 4 >"$traces/4.out" 2>"$traces/4.err" </dev/null &
pids+=($!)
wait_for "$limit_s" grep -q "found 2 others by beacons to .* on fd77:7673::3$" "$traces/4.err"
for k in 1 2; do wait_for "$limit_s" is_in "$k" 1,2,4 1,2; done
kill "${pids[-1]}"
wait_for 20 ended "${pids[-1]}"
says 1.err "inside, at $own; found 2 others by beacons to \[ff15::7673:1\]:7587 on fd77:7673::1$"
end
# An address with a port has brackets, and one without a port has none.
host='(fd77:7673::[0-9]+|ff15::7673:1)'
for file in "$scratch"/server.out "$scratch"/*/{refused,node.status,*.err}; do
    [ -e "$file" ] || continue
    if grep -E "$host:[0-9]|\[$host\]([^:]|\$)" "$file"; then exit 1; fi
done
echo "netns-ipv6.sh: with a server, without multicast, and without a server: $((SECONDS - started)) s"
