# What the tests in network namespaces share: a bridge with the membership server's namespace, one
# namespace for each member, and that nothing of it stays. To be sourced, with these set:
#
#   vs       the binary
#   traces   where members leave their traces; removed in the end unless `keep` is not empty
#   members  how many namespaces for members
#   look_s   pause between two looks, in s; by default 0.2
#
# Needs root, iproute2 and nftables; without them the test ends here, with a line that says so.
ns=vs$$n
server=10.77.0.100:7000
pids=()

[ "$(id -u)" = 0 ] || { echo "${0##*/}: skipped: network namespaces need root"; exit 0; }
for tool in ip nft; do
    command -v "$tool" >/dev/null || { echo "${0##*/}: skipped: $tool is not installed"; exit 0; }
done

cleanup() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for ((k = 0; k <= members; k++)); do ip netns del "$ns$k" 2>/dev/null || true; done
    [ -n "$keep" ] || rm -rf "$traces"
}
trap cleanup EXIT

network() {
    local k
    mkdir -p "$traces"
    # A trace of an earlier run would be gone on with.
    for ((k = 1; k <= members; k++)); do rm -f "$traces/$k.jsonl"; done
    ip netns add "${ns}0"
    ip -n "${ns}0" link set lo up
    ip -n "${ns}0" link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0
    ip -n "${ns}0" addr add 10.77.0.100/24 dev br0
    ip -n "${ns}0" link set br0 up
    for ((k = 1; k <= members; k++)); do
        ip netns add "$ns$k"
        ip -n "$ns$k" link set lo up
        ip link add eth0 netns "$ns$k" type veth peer name "v$k" netns "${ns}0"
        ip -n "${ns}0" link set "v$k" master br0 up
        ip -n "$ns$k" addr add "10.77.0.$k/24" dev eth0
        ip -n "$ns$k" link set eth0 up
        ip -n "$ns$k" route add 224.0.0.0/4 dev eth0
    done
}

# Starts the membership server, with OPTIONS besides.
serve() { # OPTIONS...
    ip netns exec "${ns}0" "$vs" server --listen "$server" "$@" >"$traces/server.out" 2>&1 &
    pids+=($!)
    wait_for 10 grep -qs listening "$traces/server.out"
}

# Starts a member, with OPTIONS besides; its process id is in member_ID.
member() { # ID OPTIONS...
    local id=$1
    shift
    ip netns exec "$ns$id" "$vs" node --group storm --server "$server" --id "$id" \
        --bind "10.77.0.$id" --interface "10.77.0.$id" --trace "$traces/$id.jsonl" "$@" \
        >"$traces/$id.out" 2>"$traces/$id.err" </dev/null &
    pids+=($!)
    eval "member_$id=$!"
}

wait_for() { # SECONDS CONDITION...
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || {
            echo "${0##*/}: not within its time: $*" >&2
            tail -n 3 "$traces"/*.err >&2
            exit 1
        }
        read -rt "${look_s:-0.2}" <> <(:) || true
    done
}

ended() { ! kill -0 "$1" 2>/dev/null; }
