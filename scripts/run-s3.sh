#!/usr/bin/env bash
# Runs cairn with a cloud on an S3 server that is there for it alone: versitygw
# on a free port, with credentials of its own. Both keep what they have in a
# temporary folder, which goes at the end. Arguments go to cairn serve. make
# run-s3 builds what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
set -m # each in a process group of its own, so that Ctrl-C reaches neither before the other

folder=$(mktemp -d "${TMPDIR:-/tmp}/cairn-s3-XXXXXX")
server='' cairn=''
finish() {
	for pid in $cairn $server; do
		kill "$pid" 2>/dev/null && wait "$pid" || true
	done
	rm -rf "$folder"
}
trap finish EXIT

random() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
AWS_ACCESS_KEY_ID=$(random) AWS_SECRET_ACCESS_KEY=$(random)
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION=us-east-1
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
unset AWS_SESSION_TOKEN AWS_PROFILE AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3

# start runs versitygw on a port, and fails unless it answers there.
start() {
	local health
	health=/$(random) # so that no other server is taken for it
	ROOT_ACCESS_KEY=$AWS_ACCESS_KEY_ID ROOT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
		bin/versitygw --port "127.0.0.1:$1" --health "$health" --keep-alive --quiet \
		posix --sidecar "$folder/metadata" "$folder/buckets" >"$folder/versitygw.log" 2>&1 &
	server=$!
	for _ in {1..500}; do
		curl -fs -o "$folder/health" "http://127.0.0.1:$1$health" && return
		kill -0 "$server" 2>/dev/null || break
		sleep 0.02
	done
	kill "$server" 2>/dev/null || true
	server=''
	return 1
}

mkdir "$folder/buckets" "$folder/metadata" "$folder/data"
for _ in {1..5}; do # another program may have the port
	port=$((20000 + RANDOM % 10000))
	start $port && break
done
if [ -z "$server" ]; then
	echo 'versitygw does not start:' >&2
	cat "$folder/versitygw.log" >&2
	exit 1
fi
endpoint=http://127.0.0.1:$port
bin/versitygw admin --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" --endpoint-url "$endpoint" \
	create-bucket --bucket cairn --owner "$AWS_ACCESS_KEY_ID"

echo "folder $folder"
echo "S3 at $endpoint with AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY"
bin/cairn serve --data "$folder/data" --cloud "s3://cairn/demo?endpoint=$endpoint" "$@" &
cairn=$!
trap 'kill "$cairn" 2>/dev/null || true' INT TERM
code=0
wait "$cairn" || code=$?
while kill -0 "$cairn" 2>/dev/null; do # a signal has ended wait
	code=0
	wait "$cairn" || code=$?
done
cairn=''
exit "$code"
