package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

type linkKey struct{}

// links are the living connections of a listener's clients.
type links struct {
	changing sync.Mutex
	open     map[net.Conn]*link
}

// link is a client's connection with what belongs to it upstream: the same protocol, the same
// certificate, and the same end. So a new client never meets a connection that went stale before it
// came, and the API server sees one leave when it leaves.
type link struct {
	client net.Conn // below TLS

	changing  sync.Mutex
	ended     bool
	server    []net.Conn
	transport *http.Transport
}

func (l *links) begin(ctx context.Context, client net.Conn) context.Context {
	begun := &link{client: client}
	if secured, ok := client.(*tls.Conn); ok {
		begun.client = secured.NetConn()
	}
	l.changing.Lock()
	defer l.changing.Unlock()
	l.open[client] = begun
	return context.WithValue(ctx, linkKey{}, begun)
}

func (l *links) changed(client net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	l.changing.Lock()
	ended := l.open[client]
	delete(l.open, client)
	l.changing.Unlock()
	// an upgraded connection goes on, and ends with its call
	if ended != nil && state == http.StateClosed {
		ended.end()
	}
}

// to returns the way upstream; false when nothing can speak for the client.
func (l *link) to(up *upstream, r *http.Request) (*http.Transport, bool) {
	l.changing.Lock()
	defer l.changing.Unlock()
	if l.transport != nil {
		return l.transport, true
	}
	identity, ok := up.tap.identity(r.TLS)
	if !ok {
		return nil, false
	}
	settings := up.tls.Clone()
	settings.Certificates = identity
	l.transport = &http.Transport{
		DialContext:        l.dial,
		TLSClientConfig:    settings,
		DisableCompression: true,
	}
	if r.ProtoMajor == 2 {
		l.transport.ForceAttemptHTTP2 = true
	} else {
		l.transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return l.transport, true
}

func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	made, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.changing.Lock()
	defer l.changing.Unlock()
	if l.ended {
		_ = made.Close()
		return nil, net.ErrClosed
	}
	l.server = append(l.server, made)
	return made, nil
}

func (l *link) end() {
	l.changing.Lock()
	defer l.changing.Unlock()
	l.ended = true
	for _, made := range l.server {
		_ = made.Close()
	}
}
