# Arguments: the one prefix that is kept.
begin
serve /state/etcd.work
etcdctl get --prefix "$1" --write-out=json > /tmp/kept.json
stop
serve /state/etcd.next
jq -r '.kvs[]? | .key, .value' /tmp/kept.json | while read -r key && read -r value; do
    echo "$value" | base64 -d | etcdctl put "$(echo "$key" | base64 -d)" > /dev/null
done
stop
swap /state/etcd.next
