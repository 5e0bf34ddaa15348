ls "$cloud/backups" | sed -n 's/\.json\.age$//p' | sort -r -t _ -k 2 > ids
while read -r id; do age -d -i "$key" "$cloud/backups/$id.json.age" > info
    test "$(sed q info | jq -r .scope)" = all && break
done < ids
sed q info | jq -r '.segments[] | (.part // .index).name // empty' > names
while read -r name; do case $name in parts/*) echo "$name" ;;
*) age -d -i "$key" "$cloud/$name" | zstd -dc | jq -r 'select(.sha256).name'
esac; done < names > parts
while read -r name; do age -d -i "$key" "$cloud/$name" | zstd -dc
done < parts > lines
awk -F '"' '{ name = $4 "/" $8
    if ($12 == "document") found[name] = $0; else delete found[name]
} END { for (name in found) print found[name] }' lines > documents.jsonl
sed q info | jq .documents; wc -l < documents.jsonl
