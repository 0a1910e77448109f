#!/bin/sh -e
# Replaces an etcd node the way a worker is replaced: the old machine goes, a new one joins.
unset ETCDCTL_ENDPOINTS    # etcdctl takes a flag that shadows a variable for a mistake

retry() {                  # an election is under way, or the newcomer still catches up
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    "$@" && return
    sleep 1
  done
  return 1
}

for url in $(echo "$AFTERFAULT_CLIENT_URLS" | tr , ' '); do
  [ "$url" = "$AFTERFAULT_OLD_CLIENT_URL" ] || others="${others:+$others,}$url"
done

etcdctl --endpoints="${others%%,*}" snapshot save "$AFTERFAULT_SNAPSHOTS/before.db"
$AFTERFAULT_NODE destroy "$AFTERFAULT_OLD_NAME"
added=$(retry etcdctl --endpoints="$others" member add "$AFTERFAULT_NEW_NAME" --peer-urls="$AFTERFAULT_NEW_PEER_URL")
cluster=$(echo "$added" | sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p')
$AFTERFAULT_NODE start "$AFTERFAULT_NEW_NAME" "$cluster" existing
retry etcdctl --endpoints="$AFTERFAULT_NEW_CLIENT_URL" endpoint health
