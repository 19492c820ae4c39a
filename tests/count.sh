#!/usr/bin/env bash
# Runs a command and says in a last line how many tests it has told of: those of cargo, of node, and
# the checks of tests/package.sh. Ends as the command does.
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

sum() { grep -oE "$1" "$log" | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }'; }

# As cargo says it, then node; `checked: ` begins what tests/package.sh has found right.
passed=$(($(sum '[0-9]+ passed;') + $(sum '^(#|ℹ) pass [0-9]+') + $(grep -c '^checked: ' "$log")))
failed=$(($(sum '[0-9]+ failed;') + $(sum '^(#|ℹ) (fail|cancelled) [0-9]+')))
# What did not even build, or run, has told of no failure.
[ "$code" = 0 ] || [ "$failed" != 0 ] || failed=1
echo "$passed passed, $failed failed"
exit "$code"
