#!/usr/bin/env bash
# Runs govulncheck. Any finding fails, and so does any error but one: that the
# vulnerability database does not answer is reported and passed over, so that
# the checks can run without a network.
set -uo pipefail
cd "$(dirname "$0")/.."

out=$(go tool govulncheck ./... 2>&1)
status=$?
printf '%s\n' "$out"
if [ $status = 0 ]; then
	exit 0
fi
# A transport error has this form; an answer that is not a database has not.
if [ $status = 1 ] && grep -q '^govulncheck: fetching vulnerabilities: Get "' <<<"$out"; then
	echo 'PASSED OVER: the vulnerability database does not answer, so nothing was checked against it'
	exit 0
fi
exit $status
