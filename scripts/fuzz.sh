#!/usr/bin/env bash
# Runs each fuzz target of the module for a time (FUZZTIME, 60s), one after the
# other, and prints a line for each. Whatever a target finds it leaves in
# testdata/fuzz of its package: mend it, and commit that file, which go test runs
# from then on. The targets are those that there are, so none is forgotten.
set -uo pipefail
cd "$(dirname "$0")/.."
time=${FUZZTIME:-60s}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! go test -list '^Fuzz' ./... >"$log" 2>&1; then
	cat "$log"
	exit 1
fi
# The names of the targets of a package come before its own.
targets=$(awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }' "$log")
if [ -z "$targets" ]; then
	echo 'FAIL: there are no fuzz targets'
	exit 1
fi

failed=0
while read -r package target; do
	# What is found is made a little smaller only: the coverage of what encrypts
	# changes from run to run, and making it smaller would not end.
	if go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x "$package" >"$log" 2>&1 </dev/null; then
		verdict=ok
	elif grep -qx ' *context deadline exceeded' "$log" && ! grep -qE 'Failing input|_test\.go:|panic|hung' "$log"; then
		verdict=ok # go test stops at the end of the time, and now and then calls that a failure
	else
		verdict=FAILED
		failed=$((failed + 1))
	fi
	runs=$(sed -n 's/^fuzz: elapsed: .*, execs: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
	if [ "$verdict" = ok ] && [ "${runs:-0}" = 0 ]; then
		verdict='FAILED: it did not run'
		failed=$((failed + 1))
	fi
	printf '%-24s %-20s %9s runs  %s\n' "$package" "$target" "${runs:-0}" "$verdict"
	[ "$verdict" = ok ] || cat "$log"
done <<<"$targets"
if [ "$failed" != 0 ]; then
	echo "FAILED: $failed of $(wc -l <<<"$targets") targets"
	exit 1
fi
echo "PASSED: $(wc -l <<<"$targets") targets for $time each"
