# Runs in the image with etcd's tools; /state holds the persisted folders etcd and pki.
set -eu

serve() { # data folder
    etcd --data-dir "$1" --unsafe-no-fsync --log-level error > /tmp/etcd.log 2>&1 &
    server=$!
    tries=0
    until etcdctl endpoint health > /dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 150 ] || ! kill -0 "$server" 2> /dev/null; then
            cat /tmp/etcd.log >&2
            echo "ERROR: etcd does not start on the persisted data" >&2
            exit 1
        fi
        sleep 0.1
    done
}

stop() {
    kill "$server"
    wait "$server" || true
}

# The original is never worked on; it goes when its successor is in place.
begin() {
    [ -d /state/etcd ] || [ ! -d /state/etcd.before ] || mv /state/etcd.before /state/etcd
    rm -rf /state/etcd.work /state/etcd.next /state/etcd.before
    cp -a /state/etcd /state/etcd.work
}

swap() { # the new data
    mv /state/etcd /state/etcd.before
    mv "$1" /state/etcd
    rm -rf /state/etcd.before /state/etcd.work
}
