# What the tests in network namespaces share: a bridge with the membership server's namespace, one
# namespace for each member, and that nothing of it stays. To be sourced, with these set:
#
#   vs       the binary
#   traces   where members leave their traces; removed in the end unless `keep` is not empty
#   members  how many namespaces for members
#   look_s   pause between two looks, in s; by default 0.2
#   prefix   what all addresses begin with; by default 10.77.0., else one of IPv6 that ends with ::
#
# Needs root, iproute2 and nftables; without them the test ends here, with a line that says so.
ns=vs$$n
prefix=${prefix:-10.77.0.}
scratch=$traces
pids=()

# A socket address, as it is written.
at() { # HOST PORT
    if [[ $prefix = *: ]]; then echo "[$prefix$1]:$2"; else echo "$prefix$1:$2"; fi
}
server=$(at 100 7000)
# How members find the membership service.
service=(--server "$server")

[ "$(id -u)" = 0 ] || { echo "${0##*/}: skipped: network namespaces need root"; exit 0; }
for tool in ip nft; do
    command -v "$tool" >/dev/null || { echo "${0##*/}: skipped: $tool is not installed"; exit 0; }
done

cleanup() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for ((k = 0; k <= members; k++)); do
        ip netns del "$ns$k" 2>/dev/null || true
        rm -rf "/etc/netns/$ns$k"
    done
    rmdir /etc/netns 2>/dev/null || true
    [ -n "$keep" ] || rm -rf "$scratch"
}
trap cleanup EXIT

# Without a time in which an address of IPv6 may not be used yet.
address() { # NAMESPACE HOST DEVICE
    case $prefix in
        *:) ip -n "$1" addr add "$prefix$2/64" dev "$3" nodad ;;
        *) ip -n "$1" addr add "$prefix$2/24" dev "$3" ;;
    esac
}

network() {
    local k
    mkdir -p "$traces"
    # A trace of an earlier run would be gone on with.
    for ((k = 1; k <= members; k++)); do rm -f "$traces/$k.jsonl"; done
    ip netns add "${ns}0"
    ip -n "${ns}0" link set lo up
    ip -n "${ns}0" link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0
    address "${ns}0" 100 br0
    ip -n "${ns}0" link set br0 up
    for ((k = 1; k <= members; k++)); do
        ip netns add "$ns$k"
        ip -n "$ns$k" link set lo up
        ip link add eth0 netns "$ns$k" type veth peer name "v$k" netns "${ns}0"
        ip -n "${ns}0" link set "v$k" master br0 up
        address "$ns$k" "$k" eth0
        ip -n "$ns$k" link set eth0 up
        # By IPv6 there is one.
        [[ $prefix = *: ]] || ip -n "$ns$k" route add 224.0.0.0/4 dev eth0
    done
}

# Starts the membership server, with OPTIONS besides; its process id is in server_pid.
serve() { # OPTIONS...
    ip netns exec "${ns}0" "$vs" server --insecure --listen "$server" "$@" >"$traces/server.out" 2>&1 &
    server_pid=$!
    pids+=("$server_pid")
    wait_for 10 grep -qs listening "$traces/server.out"
}

# Starts a member, with OPTIONS besides; its process id is in member_ID.
member() { # ID OPTIONS...
    local id=$1
    shift
    ip netns exec "$ns$id" "$vs" node --insecure --group storm "${service[@]}" --id "$id" \
        --bind "$prefix$id" --interface "$prefix$id" --trace "$traces/$id.jsonl" "$@" \
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

# The view that member ID printed last is of MEMBERS, with the transitional set TOGETHER.
is_in() { # ID MEMBERS TOGETHER
    [[ "$(grep -s '^view ' "$traces/$1.out" | tail -n 1)" == *" {$2}, "*"with {$3}" ]]
}
# How many messages of FROM member ID has printed.
heard() { # ID FROM
    grep -c "^$2: " "$traces/$1.out" || true
}
hears_more() { # ID FROM THAN
    [ "$(heard "$1" "$2")" -gt "$3" ]
}
