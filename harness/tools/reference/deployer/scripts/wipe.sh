rm -rf /state/etcd /state/etcd.* /state/pki
