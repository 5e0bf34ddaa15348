#!/bin/sh
# Rebuilds the documents of a backup without cairn, from the folder of a cloud
# and the file with its key. It needs a POSIX shell with its tools, sha256sum
# (or shasum), and age and zstd.
#
#	recover.sh CLOUD KEY                  lists the backups, newest last
#	recover.sh CLOUD KEY TARGET [BACKUP]  writes the documents of a backup, the
#	                                      newest unless one is named, each to
#	                                      TARGET/<collection>/<id>.json
#
# Everything is checked on the way: the MAC of the manifest, the SHA-256 of
# whatever it names, the number of documents and their bytes. Nothing is written
# to the cloud. docs/recovery.md shows how to do the same by hand.
set -eu
umask 077
LC_ALL=C # texts are bytes here
export LC_ALL

mac_info='cairn manifest v1'
digits='[0-9a-f]'
digits32=$digits$digits$digits$digits$digits$digits$digits$digits
digits32=$digits32$digits32$digits32$digits32

say() { printf '%s\n' "$*" >&2; }
die() {
	say "recover.sh: $1"
	[ $# -lt 2 ] || say "hint: $2"
	exit 1
}

# sha256 prints the SHA-256 of standard input in hexadecimal digits.
if command -v sha256sum >/dev/null 2>&1; then
	sha256() { sha256sum | cut -d ' ' -f 1; }
else
	sha256() { shasum -a 256 | cut -d ' ' -f 1; }
fi

# bytes prints how many bytes a file has, hex standard input in hexadecimal digits.
bytes() { echo $(($(wc -c <"$1"))); }
hex() { od -An -v -tx1 | tr -d ' \n'; }

# unhex prints the bytes that hexadecimal digits stand for, each XORed with $2.
unhex() {
	left=$1
	while [ -n "$left" ]; do
		printf "\\$(printf %03o $((0x${left%"${left#??}"} ^ $2)))"
		left=${left#??}
	done
}

# hmac prints the HMAC-SHA256 of standard input. The key, at most 64 bytes, and
# the result are in hexadecimal digits; so no secret is an argument of a program.
hmac() {
	block=$1
	while [ ${#block} -lt 128 ]; do block=${block}00; done
	inner=$({ unhex "$block" 54 && cat; } | sha256)
	{ unhex "$block" 92 && unhex "$inner" 0; } | sha256
}

# member prints a member of the first JSON object of a file: a string without
# escapes, or a number. Inside of strings a quote has a backslash before it, so
# none of them can look like a member.
member() {
	sed -n '1{s/,"segments":\[.*//;s/.*[{,]"'"$2"'":"\{0,1\}\([^",}]*\).*/\1/p;}' "$1"
}

# secret prints the key in the key file.
secret() { sed -n 's/^[^A-Z#]*\(AGE-SECRET-KEY-1[0-9A-Z]*\).*/\1/p' "$key"; }

# authenticate checks the two lines of a sealed text, $1, of the name $2: a line
# of JSON, and the HMAC-SHA256 of the cloud, the name and that line.
authenticate() {
	[ "$(($(wc -l <"$1")))" = 2 ] && [ -z "$(sed 1,2d "$1")" ] || return 1
	seal=$(secret | tr -d '\n' | hmac "$(printf %s "$cloud_id" | hex)")
	seal=$(printf '%s\001' "$mac_info" | hmac "$seal") # HKDF-SHA256
	mac=$({ printf '%s\n%s\n' "$cloud_id" "$2" && sed 1q "$1" | tr -d '\n'; } | hmac "$seal")
	[ "$mac" = "$(sed -n 2p "$1")" ]
}

# open_manifest decrypts the manifest of a backup to $work/manifest.
open_manifest() {
	object=backups/$1.json.age
	[ -f "$cloud/$object" ] || die "there is no backup $1 in $cloud" "recover.sh $cloud $key lists those that are there"
	age -d -i "$key" -o "$work/manifest" "$cloud/$object" ||
		die "$object cannot be decrypted: it is damaged, or $key is not the key of this cloud" \
			'name another backup after the target folder'
	if [ -n "$cloud_id" ]; then
		authenticate "$work/manifest" "$1" ||
			die "the MAC of $object is wrong: this is not what the owner of the key wrote there" \
				'name another backup after the target folder; if cairn.json itself is damaged, put it back from a copy'
	fi
	format=$(member "$work/manifest" format)
	[ "$format" = 1 ] || die "$object has the format $format, and this script reads 1" 'use the recover.sh of a newer cairn'
	[ "$(member "$work/manifest" id)" = "$1" ] || die "$object is the manifest of another backup"
}

# backups prints the ids of all backups, newest last.
backups() {
	for file in "$cloud"/backups/*.json.age; do
		[ -f "$file" ] || continue
		file=${file##*/}
		case $file in
		*[!A-Za-z0-9._-]*) ;;
		*) echo "${file%.json.age}" ;;
		esac
	done | sed 's/.*_/& /;s/\(.*\) \(.*\)/\2 \1\2/' | sort | cut -d ' ' -f 2
}

list() {
	for id in $(backups); do
		(open_manifest "$id") || continue
		device=$(sed -n '1{s/","platform":".*//;s/.*,"device_name":"//p;}' "$work/manifest")
		printf '%s  %s  %s documents, %s bytes, made on "%s"\n' "$id" "$(member "$work/manifest" scope)" \
			"$(member "$work/manifest" documents)" "$(member "$work/manifest" json_bytes)" "$device"
	done
}

# check compares an object, $1, with its size, $2, and its SHA-256, $3.
check() {
	[ -f "$cloud/$1" ] || die "the object $1 is missing"
	[ "$(bytes "$cloud/$1")" = "$2" ] || die "the object $1 is damaged: it has $(bytes "$cloud/$1") bytes, not $2"
	[ "$(sha256 <"$cloud/$1")" = "$3" ] || die "the object $1 is damaged: its SHA-256 is not the one in the backup"
}

# open_object checks an object as check does, and writes its lines to $work/lines.
open_object() {
	check "$@"
	age -d -i "$key" -o "$work/compressed" "$cloud/$1" || die "the object $1 cannot be decrypted with $key"
	zstd -d -q -f -o "$work/lines" "$work/compressed" || die "the object $1 cannot be decompressed"
}

# fields prints what the objects in a text say of themselves, a line for each:
# part or index, name, size, SHA-256, and for a part its documents, deletions
# and plain bytes. Names are as cairn writes them, and lead nowhere else.
fields() {
	sed -n \
		-e 's|.*"name":"\(parts/'"$digits$digits/$digits32"'\.jsonl\.zst\.age\)","size":\([0-9]*\),"sha256":"\('"$digits32$digits32"'\)","from":[0-9]*,"to":[0-9]*,"documents":\([0-9]*\),"deletions":\([0-9]*\),"plain":\([0-9]*\)}.*|part \1 \2 \3 \4 \5 \6|p' \
		-e 's|.*"name":"\(indexes/'"$digits$digits/$digits32"'\.jsonl\.zst\.age\)","size":\([0-9]*\),"sha256":"\('"$digits32$digits32"'\)"}.*|index \1 \2 \3 0 0 0|p'
}

# segments prints the segments in the manifest, a line for each.
segments() {
	sed -n '1s/.*,"segments":\[//p' "$work/manifest" | sed 's/{"from":/\
&/g' | sed '/^$/d;/^\]}$/d'
}

# list_parts writes the parts of the backup, in order, to $work/parts.
list_parts() {
	segments >"$work/segments"
	: >"$work/parts"
	while read -r segment; do
		want=$(printf '%s' "$segment" | sed 's/.*"parts":\([0-9]*\).*/\1/')
		if [ "$want" = 0 ]; then continue; fi
		printf '%s\n' "$segment" | fields >"$work/found"
		read -r kind name size sum documents deletions plain <"$work/found" || die 'the manifest names an object in a way that this script does not know'
		if [ "$kind" = index ]; then
			open_object "$name" "$size" "$sum"
			case $(sed 1q "$work/lines") in
			'{"format":1,'*'"parts":'"$want}") ;;
			*) die "the object $name has another format than this script reads" 'use the recover.sh of a newer cairn' ;;
			esac
			sed -n "2,$((want + 1))p" "$work/lines" | fields >"$work/found"
		fi
		[ "$(($(wc -l <"$work/found")))" = "$want" ] || die "the segment with $want parts names $(($(wc -l <"$work/found")))"
		cat "$work/found" >>"$work/parts"
	done <"$work/segments"
}

# writer is the awk program that writes the documents of a part, each to its
# file, and removes those that the part says are deleted. Its input is the lines
# in pieces, since some tools are slow with long lines: the first piece of a line
# begins with the byte 1, which no JSON text holds.
writer='
BEGIN {
	ORS = ""
	list = ENVIRON["list"] # -v would change the backslashes in a path
}
function fail(why) { print why "\n" >"/dev/stderr"; failed = 1; exit 1 }
function end() { # of a line, whose last piece, held back, ends in the closing brace
	if (held == "") return
	if (substr(held, length(held)) != "}") fail("a line does not end as it should")
	if (file != "") {
		print substr(held, 1, length(held) - 1) >file
		if (close(file) != 0) fail(file " cannot be written")
		n++
	} else {
		if (held != "}") fail("a line says more than that a document is deleted")
		print path "\n" >list # no part has a document twice
		d++
	}
	held = ""
}
# cut takes the text before what comes next off the line.
function cut(before, next_, at) {
	if (substr(line, 1, length(before)) != before) fail("a line does not begin as it should")
	line = substr(line, length(before) + 1)
	at = index(line, next_)
	if (at == 0) fail("a line ends too early")
	before = substr(line, 1, at - 1)
	line = substr(line, at)
	return before
}
substr($0, 1, 1) == "\001" {
	end()
	line = substr($0, 2)
	total++ # the line break
	collection = cut("{\"collection\":\"", "\"")
	id = cut("\",\"id\":\"", "\"")
	if (collection !~ /^[a-z][a-z0-9_]*$/ || id !~ /^[A-Za-z0-9._-]+$/ || id == "." || id == "..") fail("a line has a name that none can have")
	path = collection "/" id ".json"
	if (!(collection in made)) {
		if (system("mkdir -p " collection) != 0) fail("the folder " collection " cannot be made")
		made[collection] = 1
	}
	total += length($0) - 1
	file = ""
	if (match(line, /^","revision":[0-9]+,"document":/)) {
		file = path
		held = substr(line, RLENGTH + 1)
	} else if (match(line, /^","revision":[0-9]+/)) {
		held = substr(line, RLENGTH + 1)
	} else fail("a line has no revision")
	next
}
{
	total += length($0)
	if (file == "") fail("a line does not begin")
	print held >file
	held = $0
}
END {
	if (failed) exit 1
	end()
	if (failed) exit 1
	if (n != documents || d != deletions || total != plain) fail(n + 0 " documents, " d + 0 " deletions and " total + 0 " bytes where " documents ", " deletions " and " plain " should be")
}'

# write_part writes the documents of the part whose lines are in $work/lines.
write_part() {
	: >"$work/deleted"
	(
		cd "$work/documents"
		sed "s/^/$(printf '\001')/" "$work/lines" | fold -b -w 8192 |
			list=$work/deleted awk -v documents="$2" -v deletions="$3" -v plain="$4" "$writer" || exit 1
		while read -r path; do rm -f "./$path"; done <"$work/deleted"
	) || die "the lines of the object $1 are not what they should be, or $target is full"
}

recover() {
	open_manifest "$1"
	want_files=$(member "$work/manifest" documents)
	want_bytes=$(member "$work/manifest" json_bytes)
	say "recovering $1: $want_files documents, $want_bytes bytes"
	list_parts
	mkdir "$work/documents"
	parts=$(($(wc -l <"$work/parts")))
	part=0
	while read -r kind name size sum documents deletions plain; do
		part=$((part + 1))
		[ "$kind" = part ] || die "the object $name is where a part should be"
		open_object "$name" "$size" "$sum"
		write_part "$name" "$documents" "$deletions" "$plain"
		say "part $part of $parts"
	done <"$work/parts"
	got=$(($(find "$work/documents" -type f | wc -l)))
	got_bytes=$(($(find "$work/documents" -type f -exec cat {} + | wc -c)))
	[ "$got $got_bytes" = "$want_files $want_bytes" ] ||
		die "$got files of $got_bytes bytes were written, not $want_files of $want_bytes" \
			'use a folder on a file system that tells a and A apart, and has room'
	for folder in "$work/documents"/*; do
		if [ -d "$folder" ]; then mv "$folder" "$target/"; fi
	done
	say "recovered $1 to $target"
}

# absolute prints a path that does not begin with a dash.
absolute() {
	case $1 in
	/*) printf '%s\n' "$1" ;;
	*) printf '%s/%s\n' "$(pwd)" "$1" ;;
	esac
}

case ${1-} in
-h | --help)
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac
if [ $# -lt 2 ] || [ $# -gt 4 ]; then
	say 'usage: recover.sh CLOUD KEY [TARGET [BACKUP]]'
	exit 2
fi
for tool in age zstd awk sed od fold; do
	command -v $tool >/dev/null 2>&1 || die "the program $tool is missing" 'on Debian and Ubuntu: apt-get install age zstd'
done
cloud=$(absolute "$1")
key=$(absolute "$2")
[ -d "$cloud/backups" ] || die "$cloud holds no backups" 'name the folder in which cairn.json and backups are'
[ -r "$key" ] && [ -f "$key" ] || die "the key file $key cannot be read" 'it is what cairn cloud key printed'
[ "$(($(secret | wc -l)))" = 1 ] || die "$key is not the file of one key" 'it is what cairn cloud key printed; decrypt it first if it is encrypted'
cloud_id=
if [ -f "$cloud/cairn.json" ]; then
	format=$(member "$cloud/cairn.json" format)
	[ "$format" = 1 ] || die "cairn.json has the format $format, and this script reads 1" 'use the recover.sh of a newer cairn'
	cloud_id=$(member "$cloud/cairn.json" id)
	authenticate "$cloud/cairn.json" cairn.json ||
		die "the MAC of cairn.json is wrong: $key is not the key of this cloud, or cairn.json is damaged" \
			'to go on without checking who wrote the backups, copy the cloud and leave cairn.json out'
else
	say 'warning: cairn.json is missing, so that nothing proves who wrote these backups'
fi

if [ $# = 2 ]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' HUP INT TERM
	list
	exit
fi
target=$(absolute "$3")
mkdir -p "$target"
[ -z "$(ls -A "$target")" ] || die "the folder $target is not empty" 'name one that is empty or not there'
work=$target/.recovering
mkdir "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

id=${4-}
case $id in
'')
	for id in $(backups | sed -n '1!G;h;$p') ''; do
		[ -n "$id" ] || die "$cloud holds no backup of a whole database"
		open_manifest "$id"
		[ "$(member "$work/manifest" scope)" != all ] || break
	done
	;;
*[!A-Za-z0-9._-]*) die "\"$id\" is not the id of a backup" "recover.sh $cloud $key lists them" ;;
esac
recover "$id"
