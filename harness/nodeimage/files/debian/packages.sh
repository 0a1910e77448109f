# What a node is made of, read by `furnish` and by the builder.
# bookworm: systemd 252 accepts cgroup v1, later ones refuse it by default.
BOOKWORM="systemd systemd-sysv dbus iptables nftables iproute2 conntrack ethtool socat mount kmod procps
  util-linux jq curl ca-certificates openssl"
# trixie: bookworm's containerd and runc are too old for Kubernetes 1.34.
TRIXIE="containerd runc containernetworking-plugins"
# only for images of their own; taken out of the node again
BORROWED="haproxy"
