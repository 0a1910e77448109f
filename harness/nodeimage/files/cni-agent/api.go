package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// errNotInCluster reads as client-go's, word for word: it is the signature of a known incident.
var errNotInCluster = errors.New("unable to load in-cluster configuration, " +
	"KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined")

type apiClient struct {
	base string
	http *http.Client
}

type node struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		PodCIDR string `json:"podCIDR"`
	} `json:"spec"`
	Status struct {
		Addresses []struct {
			Type    string `json:"type"`
			Address string `json:"address"`
		} `json:"addresses"`
	} `json:"status"`
}

func (n node) internalIP() string {
	for _, address := range n.Status.Addresses {
		if ip := net.ParseIP(address.Address); address.Type == "InternalIP" && ip != nil && ip.To4() != nil {
			return address.Address
		}
	}
	return ""
}

func inClusterClient() (*apiClient, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errNotInCluster
	}
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("the cluster's certificate authority cannot be read")
	}
	transport := &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		ResponseHeaderTimeout: 20 * time.Second,
	}
	return &apiClient{base: "https://" + net.JoinHostPort(host, port), http: &http.Client{Transport: transport}}, nil
}

func (c *apiClient) get(ctx context.Context, path string) (io.ReadCloser, error) {
	// read each time: the kubelet renews it
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return nil, fmt.Errorf("%s: %s: %s", path, response.Status, said)
	}
	return response.Body, nil
}

// listNodes returns the nodes and the version of the list.
func (c *apiClient) listNodes(ctx context.Context) ([]node, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	body, err := c.get(ctx, "/api/v1/nodes")
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []node `json:"items"`
	}
	if err := json.NewDecoder(body).Decode(&list); err != nil {
		return nil, "", err
	}
	return list.Items, list.Metadata.ResourceVersion, nil
}

// waitForChange returns when something about a node changed, at the latest after `longest`.
func (c *apiClient) waitForChange(ctx context.Context, version string, longest time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	body, err := c.get(ctx, fmt.Sprintf("/api/v1/nodes?watch=true&resourceVersion=%s&timeoutSeconds=%d",
		url.QueryEscape(version), int(longest.Seconds())))
	if err == nil {
		defer body.Close()
		var event json.RawMessage
		_ = json.NewDecoder(body).Decode(&event) // the list will say what changed, or what is wrong
	}
	// bursts of events must not become bursts of work
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}
