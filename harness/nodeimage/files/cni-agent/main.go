// Command cni-agent gives the pods of a kind node their network: it writes the CNI configuration from
// the node's pod range, masquerades what leaves the cluster, and keeps a route to each other node.
//
// It talks to the API through in-cluster configuration, and dies like kindnetd when that is missing.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	configuration = "/etc/cni/net.d/10-kindnet.conflist"
	chain         = "AFTERFAULT-MASQ"
	// marks the routes that are ours, so that those of nodes which left can be told apart
	routeProtocol = "160"
	patience      = 3 * time.Minute
	resync        = 30 * time.Second
)

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	client, err := inClusterClient()
	if err != nil {
		panic(err.Error())
	}
	if endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		// the Service's address works only after kube-proxy; this one at once
		client.base = "https://" + endpoint
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	run(ctx, client, os.Getenv("NODE_NAME"), os.Getenv("POD_SUBNET"))
}

// run applies the list of nodes whenever it changes, and every half minute; too long without the API
// is a panic, so that the pod's restarts show it.
func run(ctx context.Context, client *apiClient, self, podSubnet string) {
	reached := time.Now()
	for ctx.Err() == nil {
		nodes, version, err := client.listNodes(ctx)
		if err == nil {
			err = apply(nodes, self, podSubnet)
		}
		if err == nil {
			reached = time.Now()
			client.waitForChange(ctx, version, resync)
			continue
		}
		log.Printf("not applied: %v", err)
		if time.Since(reached) > patience {
			panic(fmt.Sprintf("no network for %s: %v", patience, err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func apply(nodes []node, self, podSubnet string) error {
	wanted := map[string]string{}
	for _, n := range nodes {
		address, ranges := n.internalIP(), n.Spec.PodCIDR
		if ranges == "" || address == "" {
			continue // the controller-manager has not given it a range yet
		}
		if n.Metadata.Name == self {
			if err := writeConfiguration(ranges); err != nil {
				return err
			}
			continue
		}
		wanted[ranges] = address
	}
	if err := masquerade(podSubnet); err != nil {
		return err
	}
	return setRoutes(wanted)
}

// writeConfiguration replaces the file as a whole: containerd watches the folder.
func writeConfiguration(podRange string) error {
	bridge := map[string]any{
		"type": "ptp", "ipMasq": false, "mtu": mtu(),
		"ipam": map[string]any{
			"type": "host-local",
			// a node that restarts has no pods yet, so the leases go with /run
			"dataDir": "/run/cni-ipam-state",
			"routes":  []any{map[string]string{"dst": "0.0.0.0/0"}},
			"ranges":  []any{[]any{map[string]string{"subnet": podRange}}},
		},
	}
	ports := map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}}
	text, err := json.MarshalIndent(
		map[string]any{"cniVersion": "0.3.1", "name": "kindnet", "plugins": []any{bridge, ports}}, "", "  ")
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(configuration); err == nil && bytes.Equal(old, text) {
		return nil
	}
	fresh := filepath.Join(filepath.Dir(configuration), ".10-kindnet.new")
	if err := os.WriteFile(fresh, text, 0o644); err != nil {
		return err
	}
	log.Printf("pods of this node get addresses of %s", podRange)
	return os.Rename(fresh, configuration)
}

func mtu() int {
	if link, err := net.InterfaceByName("eth0"); err == nil {
		return link.MTU
	}
	return 1500
}

// masquerade hides pods' addresses from everything but pods.
func masquerade(podSubnet string) error {
	for _, subnet := range strings.Split(podSubnet, ",") {
		if strings.Contains(subnet, ":") {
			continue // IPv4 is all that these nodes offer
		}
		_ = command("iptables", "-w", "-t", "nat", "-N", chain) // fails when it is there
		rules := [][]string{
			{chain, "-d", subnet, "-j", "RETURN"},
			{chain, "-j", "MASQUERADE"},
			{"POSTROUTING", "-s", subnet, "-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", chain},
		}
		for _, rule := range rules {
			if command("iptables", append([]string{"-w", "-t", "nat", "-C"}, rule...)...) == nil {
				continue
			}
			if err := command("iptables", append([]string{"-w", "-t", "nat", "-A"}, rule...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

func setRoutes(wanted map[string]string) error {
	shown, err := exec.Command("ip", "-4", "route", "show", "proto", routeProtocol).Output()
	if err != nil {
		return fmt.Errorf("ip route show: %w", err)
	}
	have := map[string]string{}
	for _, line := range strings.Split(string(shown), "\n") {
		if words := strings.Fields(line); len(words) >= 3 && words[1] == "via" {
			have[words[0]] = words[2]
		}
	}
	for to, via := range wanted {
		if have[to] == via {
			continue
		}
		log.Printf("pods in %s are at %s", to, via)
		if err := command("ip", "route", "replace", to, "via", via, "proto", routeProtocol); err != nil {
			return err
		}
	}
	for to := range have {
		if _, still := wanted[to]; !still {
			log.Printf("pods in %s are gone", to)
			if err := command("ip", "route", "del", to, "proto", routeProtocol); err != nil {
				return err
			}
		}
	}
	return nil
}

func command(name string, words ...string) error {
	said, err := exec.Command(name, words...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(words, " "), err, bytes.TrimSpace(said))
	}
	return nil
}
