#!/usr/bin/env bash
# Packs all crates, unpacks them into an empty directory, builds the program from there, and asks it for /chat.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
cargo package --workspace --exclude sockeye-test-common --allow-dirty --no-verify --quiet

unpacked=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$unpacked"' EXIT
for crate in "$target"/package/sockeye*.crate; do
    tar -xzf "$crate" -C "$unpacked"
done

# The crates are on no registry: each takes the others from where they were unpacked.
patches=()
for name in sockeye sockeye-apps sockeye-bench; do
    folder=$(echo "$unpacked/$name"-[0-9]*)
    patches+=(--config "patch.crates-io.$name.path='$folder'")
done
cd "$unpacked"/sockeye-server-[0-9]*
CARGO_TARGET_DIR=$target/packaged cargo build --quiet "${patches[@]}"

"$target/packaged/debug/sockeye" --listen 127.0.0.1:0 --log error >"$unpacked/out" &
server=$!
for _ in $(seq 100); do
    url=$(sed -n 's/^listening on //p' "$unpacked/out")
    [ -z "$url" ] || break
    sleep 0.1
done
curl -fsS "$url/chat" | grep -q '<title>' || { echo "the packaged program does not serve /chat" >&2; exit 1; }
echo "the packaged program serves its pages"
