#!/usr/bin/env bash
# Checks for what building and testing need, and installs what it may: Debian
# packages when it is root and apt-get is there, and the npm packages that the
# tests and sdk/typescript use. Anything else that is missing is named, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Debian packages that the tests need on Linux, each with its commands.
packages='mount:mount bsdutils:script util-linux:unshare e2fsprogs:mkfs.ext4 age:age zstd:zstd jq:jq openssl:openssl curl:curl strace:strace chromium:chromium zbar-tools:zbarimg python3:python3 restic:restic gnome-keyring:gnome-keyring-daemon dbus-daemon:dbus-run-session'

missing=()
has() { command -v "$1" >/dev/null 2>&1; }
need() { has "$1" || missing+=("$2"); }

need go 'go (the version in go.mod)'
need git git
need npm npm
need node 'node (20 or newer)'
if has node && [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
	missing+=("node 20 or newer, not $(node --version)")
fi
if has go; then
	cc=$(go env CC)
	need "${cc%% *}" "a C compiler (${cc%% *}), for the race detector"
fi

# absent prints the packages of which a command is missing.
absent() {
	local entry command
	for entry in $packages; do
		for command in $(tr , ' ' <<<"${entry#*:}"); do
			has "$command" || { echo "${entry%%:*}"; break; }
		done
	done
}

if [ "$(uname -s)" = Linux ]; then
	mapfile -t debian < <(absent)
	if [ ${#debian[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && has apt-get; then
		echo "installing ${debian[*]}"
		if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${debian[@]}"; }; then
			echo 'apt-get failed' >&2 # what is still missing is named below
		fi
		mapfile -t debian < <(absent)
	fi
	for package in "${debian[@]}"; do
		missing+=("the package $package")
	done
fi

if [ ${#missing[@]} -gt 0 ]; then
	echo 'missing:' >&2
	printf '  %s\n' "${missing[@]}" >&2
	exit 1
fi

# npm writes the file in node_modules last, so one that was cut off runs again.
for folder in test/sdk sdk/typescript; do
	if ! [ $folder/node_modules/.package-lock.json -nt $folder/package-lock.json ]; then
		(cd $folder && npm ci --no-audit --no-fund)
	fi
done
