# Arguments: prefixes to drop. Prints all keys there were.
begin
serve /state/etcd.work
etcdctl get --prefix / --keys-only
for prefix in "$@"; do
    etcdctl del --prefix "$prefix" > /dev/null
done
# a network agent that was only half created goes, so that kind can create it
if [ -z "$(etcdctl get "$CNI_KEY" --keys-only)" ]; then
    for prefix in $CNI; do
        etcdctl del --prefix "$prefix" > /dev/null
    done
fi
stop
swap /state/etcd.work
