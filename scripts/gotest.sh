#!/usr/bin/env bash
# Runs go test with the arguments given, and names the tests that were skipped
# and why, which go test keeps to itself. With CI=true a skipped test fails, but
# for one that needs what a container does not have.
set -uo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -v "$@" 2>&1 | tee "$log" | grep --line-buffered -E '^(ok|FAIL|\?|panic:)'
status=${PIPESTATUS[0]}
if [ "$status" != 0 ]; then
	grep -vE '^ *(=== |--- PASS)' "$log"
	exit "$status"
fi

# The reason is the last message of the test, which other tests may interrupt.
skipped=$(awk '
	/^=== (RUN|CONT|NAME) / { test = $3; next }
	/_test\.go:[0-9]+: /    { why[test] = $0 }
	/^ *--- SKIP: /         { print "skipped " $3 ":" why[$3] }
' "$log")
if [ -n "$skipped" ]; then
	printf '%s\n' "$skipped"
	if [ "${CI:-}" = true ] && grep -vE 'this machine (mounts no loop devices|lets nobody trace)' <<<"$skipped" >/dev/null; then
		echo 'FAIL: with CI=true no test may be skipped'
		exit 1
	fi
fi
