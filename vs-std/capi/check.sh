#!/usr/bin/env bash
# Builds the C library, holds its header against the sources, and runs its tests.
# check.sh [--header]: with --header the header is made anew instead.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-../../target}

header() { cbindgen --quiet --config cbindgen.toml --output "$1"; }
if [ "${1:-}" = --header ]; then
    header include/vs.h
    exit
fi
mkdir -p "$target/capi"
header "$target/capi/vs.h"
diff include/vs.h "$target/capi/vs.h" || {
    echo "include/vs.h is not what the sources say: run vs-std/capi/check.sh --header"
    exit 1
}

# VS_BUILD: what is built already, if not this package alone.
# shellcheck disable=SC2086
${VS_CARGO:-cargo} build --quiet ${VS_BUILD:--p vs-capi}
flags=(-std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -g -I include)
libs=(-lpthread -ldl -lm)
for program in examples/chat examples/store tests/api; do
    gcc "${flags[@]}" "$program.c" -L "$target/debug" -lvs "${libs[@]}" \
        -Wl,-rpath,"$(realpath "$target/debug")" -o "$target/capi/$(basename "$program")"
done
# Its own code beside a static library, and a sanitizer that sees the bytes that C hands out.
gcc "${flags[@]}" -fsanitize=address tests/api.c "$target/debug/libvs.a" "${libs[@]}" \
    -o "$target/capi/api_asan"
timeout 120 "$target/capi/api"
timeout 120 "$target/capi/api_asan"
