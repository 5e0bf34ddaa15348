#!/usr/bin/env bash
# Makes the targets named, one after the other up to the first that fails, and
# prints a summary.
set -uo pipefail
cd "$(dirname "$0")/.."

summary=() failed=
for step in "$@"; do
	if [ -n "$failed" ]; then
		summary+=("$(printf '%-8s not run' "$step")")
		continue
	fi
	echo "== $step"
	start=$SECONDS verdict=ok
	"${MAKE:-make}" --no-print-directory "$step" || { verdict=FAILED failed=$step; }
	summary+=("$(printf '%-8s %-6s %4d s' "$step" $verdict $((SECONDS - start)))")
done

echo '== summary'
printf '%s\n' "${summary[@]}"
if [ -n "$failed" ]; then
	echo "FAILED: make $failed"
	exit 1
fi
echo "PASSED in $SECONDS s"
