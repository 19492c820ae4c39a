#!/usr/bin/env bash
# Packs all crates, unpacks them into an empty directory, builds the program from there, and asks it
# for /chat. Counts the crates of a program that depends on the library alone, and builds what a
# newcomer pastes from the pages.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
rm -f "$target"/package/sockeye*.crate
# It warns of each test that is left out.
cargo package --workspace --exclude sockeye-test-common --allow-dirty --no-verify --quiet

# Outside of this workspace, and at the same place each time, so that builds replace each other.
unpacked=${TMPDIR:-/tmp}/sockeye-packaged-$(id -u)-$(cksum <<<"$target" | cut -d ' ' -f 1)
rm -rf "$unpacked" && mkdir "$unpacked"
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$unpacked"' EXIT
for crate in "$target"/package/sockeye*.crate; do
    # The time of the files is now: cargo judges by it, and archives say 2006.
    tar -xzmf "$crate" -C "$unpacked"
done

fail() { echo "$1" >&2; exit 1; }

for folder in "$unpacked"/*; do
    [ -f "$folder/LICENSE-MIT" ] || fail "$(basename "$folder") has no licence"
done

# What `cargo add sockeye` brings.
mkdir -p "$unpacked/alone/src"
echo 'fn main() {}' >"$unpacked/alone/src/main.rs"
cp Cargo.lock "$unpacked/alone"
cat >"$unpacked/alone/Cargo.toml" <<END
[package]
name = "alone"
version = "0.0.0"
edition = "2024"
[dependencies]
sockeye = { path = "$(echo "$unpacked"/sockeye-[0-9]*)" }
END
crates=$(cd "$unpacked/alone" && cargo tree --quiet -e normal --prefix none | sort -u | wc -l)
[ "$crates" -le 70 ] || fail "a program with the library alone has $crates lines of cargo tree, at most 70 are allowed"
echo "checked: a program with the library alone has $crates lines of cargo tree"

# Each block of these pages, as it stands: manifests into one, programs and tests into files of their
# own. The tests run.
ln -s "$(echo "$unpacked"/sockeye-[0-9]*)" "$unpacked/sockeye"
for page in README.md docs/library.md; do
    pasted=$unpacked/pasted-$(basename "$page" .md)
    mkdir -p "$pasted/src/bin" "$pasted/tests"
    printf '[package]\nname = "pasted"\nversion = "0.0.0"\nedition = "2024"\n' >"$pasted/Cargo.toml"
    awk -v "to=$pasted" '
        /^```(rust|toml)/ { kind = substr($0, 4, 4); code = ""; next }
        /^```/ && kind == "toml" { printf "%s", code >>(to "/Cargo.toml") }
        /^```/ && kind == "rust" {
            file = to (code ~ /#\[tokio::test/ ? "/tests/" : "/src/bin/") "block" ++blocks ".rs"
            printf "%s", code >file
            close(file)
        }
        /^```/ { kind = "" }
        kind { code = code $0 "\n" }' "$page"
    cp Cargo.lock "$pasted"
    (cd "$pasted" && CARGO_BUILD_BUILD_DIR=$target CARGO_TARGET_DIR=$target/pasted cargo test --quiet --all-targets) >"$unpacked/out" 2>&1 ||
        fail "the blocks of $page do not work: $(cat "$unpacked/out")"
    tests=$(grep -c '^test result: ok. 1 passed' "$unpacked/out" || true)
    [ "$tests" = 1 ] || fail "$tests tests of $page ran, and there is one: $(cat "$unpacked/out")"
done
echo 'checked: the blocks of README.md and docs/library.md build where they are pasted'

# The crates are on no registry: each takes the others from where they were unpacked.
patches=()
for name in sockeye sockeye-apps sockeye-bench; do
    folder=$(echo "$unpacked/$name"-[0-9]*)
    patches+=(--config "patch.crates-io.$name.path='$folder'")
done
cd "$unpacked"/sockeye-server-[0-9]*
# Dependencies are built into the folder that the workspace uses: most are there.
CARGO_BUILD_BUILD_DIR=$target CARGO_TARGET_DIR=$target/packaged cargo build --quiet "${patches[@]}"

"$target/packaged/debug/sockeye" --listen 127.0.0.1:0 --log error >"$unpacked/out" &
server=$!
port=
for _ in $(seq 100); do
    port=$(sed -n 's|^listening on http://127.0.0.1:\([0-9]*\).*|\1|p' "$unpacked/out")
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || fail 'the packaged program does not say where it listens'
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
page=$(tr -d '\0' <&3)
[[ $page == 'HTTP/1.1 200 '*'<title>'* ]] || fail 'the packaged program does not serve /chat'
echo 'checked: the packaged program serves its pages'
