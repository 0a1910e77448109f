package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// tap serves one listener for each API server.
type tap struct {
	told   *channel
	living context.Context // of all calls
	cancel context.CancelFunc
	calls  sync.WaitGroup

	changing   sync.Mutex
	identities map[string]tls.Certificate // by the certificate's bytes
	servers    []*http.Server
	ended      bool
}

// upstream is an API server, and how it is reached.
type upstream struct {
	tap    *tap
	url    *url.URL
	tls    *tls.Config
	prefix string // of every path
}

func newTap(told *channel) *tap {
	living, cancel := context.WithCancel(context.Background())
	return &tap{told: told, living: living, cancel: cancel, identities: map[string]tls.Certificate{}}
}

// listen starts a listener on loopback and returns its address.
func (t *tap) listen(wanted order) (string, error) {
	up, err := t.newUpstream(wanted)
	if err != nil {
		return "", err
	}
	serving, err := tls.X509KeyPair([]byte(wanted.Serving), []byte(wanted.ServingKey))
	if err != nil {
		return "", fmt.Errorf("the serving certificate: %w", err)
	}
	if err := t.learn(wanted.Certificate, wanted.Key); err != nil {
		return "", fmt.Errorf("the client certificate: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	links := &links{open: map[net.Conn]*link{}}
	server := &http.Server{
		Handler: up,
		// whoever has a certificate shows it, and proves that the key is there too
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{serving}, ClientAuth: tls.RequestClientCert},
		BaseContext: func(net.Listener) context.Context { return t.living },
		ConnContext: links.begin,
		ConnState:   links.changed,
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	t.servers = append(t.servers, server)
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return listener.Addr().String(), nil
}

func (t *tap) newUpstream(wanted order) (*upstream, error) {
	where, err := url.Parse(wanted.Server)
	if err != nil || where.Scheme != "https" || where.Host == "" {
		return nil, errors.New("the server is no https:// address")
	}
	settings := &tls.Config{ServerName: wanted.ServerName, InsecureSkipVerify: wanted.Insecure}
	if wanted.Authority != "" {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM([]byte(wanted.Authority)) {
			return nil, errors.New("there is no certificate in the certificate authority")
		}
	}
	return &upstream{tap: t, url: where, tls: settings, prefix: strings.TrimSuffix(where.Path, "/")}, nil
}

// learn keeps a client's key, to speak for it.
func (t *tap) learn(certificate, key string) error {
	if certificate == "" {
		return nil
	}
	identity, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		return err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	t.identities[string(identity.Certificate[0])] = identity
	return nil
}

// identity returns what speaks for a client; false when its key is not known.
func (t *tap) identity(client *tls.ConnectionState) ([]tls.Certificate, bool) {
	if client == nil || len(client.PeerCertificates) == 0 {
		return nil, true
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	found, ok := t.identities[string(client.PeerCertificates[0].Raw)]
	return []tls.Certificate{found}, ok
}

// enter counts a call in; false when the tap is ending.
func (t *tap) enter() bool {
	t.changing.Lock()
	defer t.changing.Unlock()
	if !t.ended {
		t.calls.Add(1)
	}
	return !t.ended
}

// end cuts every connection and returns when all calls are told.
func (t *tap) end() {
	t.changing.Lock()
	t.ended = true
	servers := t.servers
	t.changing.Unlock()
	t.told.end()
	t.cancel()
	for _, server := range servers {
		_ = server.Close()
	}
	t.calls.Wait()
}
