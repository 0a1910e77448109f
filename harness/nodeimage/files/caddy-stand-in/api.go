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
	"os"
	"time"
)

const (
	account       = "/var/run/secrets/kubernetes.io/serviceaccount/"
	answerTimeout = 20 * time.Second
)

type client struct {
	base string
	http *http.Client
}

type meta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Annotations map[string]string `json:"annotations"`
}

type ingress struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		ClassName *string `json:"ingressClassName"`
		TLS       []struct {
			Hosts      []string `json:"hosts"`
			SecretName string   `json:"secretName"`
		} `json:"tls"`
		Rules []struct {
			Host string `json:"host"`
			HTTP struct {
				Paths []path `json:"paths"`
			} `json:"http"`
		} `json:"rules"`
	} `json:"spec"`
}

type path struct {
	Path     string `json:"path"`
	PathType string `json:"pathType"`
	Backend  struct {
		Service struct {
			Name string `json:"name"`
			Port struct {
				Number int `json:"number"`
			} `json:"port"`
		} `json:"service"`
	} `json:"backend"`
}

type secret struct {
	Metadata meta              `json:"metadata"`
	Data     map[string][]byte `json:"data"`
}

func inCluster() (*client, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not defined")
	}
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("the cluster's certificate authority cannot be read")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	base := "https://" + net.JoinHostPort(host, port)
	return &client{base, &http.Client{Transport: transport, Timeout: answerTimeout}}, nil
}

func (c *client) get(ctx context.Context, path string, into any) error {
	// read each time: the kubelet renews it
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return fmt.Errorf("%s: %s: %s", path, response.Status, said)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// readAll reads everything that decides what is served.
func readAll(ctx context.Context, api *client, chosen options, pod, own string) (*routes, error) {
	var ingresses struct{ Items []ingress }
	var secrets struct{ Items []secret }
	var ignored json.RawMessage
	within := ""
	if chosen.namespace != "" {
		within = "/namespaces/" + chosen.namespace
	}
	// the config map's keys decide nothing here, but the right to read it, and its pod, is needed
	err := errors.Join(
		api.get(ctx, "/api/v1/namespaces/"+own+"/pods/"+pod, &ignored),
		api.get(ctx, "/api/v1/namespaces/"+own+"/configmaps", &ignored),
		api.get(ctx, "/apis/networking.k8s.io/v1"+within+"/ingresses", &ingresses),
		api.get(ctx, "/api/v1"+within+"/secrets?fieldSelector=type%3Dkubernetes.io%2Ftls", &secrets),
	)
	if err != nil {
		return nil, err
	}
	return newRoutes(ingresses.Items, secrets.Items, chosen, own), nil
}
