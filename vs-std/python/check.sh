#!/usr/bin/env bash
# Tests the Python module with the C library, and with the command and the C examples in one group:
# after vs-std/capi/check.sh. check.sh [--wheel]: builds the wheel, too, and tries it.
set -euo pipefail
cd "$(dirname "$0")"
target=$(realpath "${CARGO_TARGET_DIR:-../../target}")

export VS_LIBRARY=$target/debug/libvs.so VS_CAPI=$target/capi PYTHONDONTWRITEBYTECODE=1
export VS_COMMAND=${VS:-$target/debug/vs} PYTHONPATH=src PYTHONWARNINGS=error::ResourceWarning
if [ ! -e "$target/mypy/bin/mypy" ]; then
    python3 -m venv "$target/mypy"
    "$target/mypy/bin/pip" install --quiet --disable-pip-version-check mypy
fi
"$target/mypy/bin/mypy"
# Alone on a network of their own, where that can be had: other groups of this host stay out.
alone=()
if unshare --net ip link set lo up 2>/dev/null; then
    alone=(unshare --net sh -c 'ip link set lo up && exec "$@"' sh)
fi
timeout 300 "${alone[@]}" python3 -m unittest discover -v -s tests

[ "${1:-}" = --wheel ] || exit 0
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$target/mypy/bin/pip" wheel --quiet --no-deps --wheel-dir "$out" .
"$target/mypy/bin/pip" install --quiet --force-reinstall "$out"/*.whl
cd "$out"
env -u VS_LIBRARY -u PYTHONPATH "$target/mypy/bin/python" -c 'import vs; vs.Group("wheel").close()'
