package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync/atomic"
)

// A body longer than this is not looked into. The API server takes 3 MiB.
const longest = 16 << 20

const (
	answered      = "answered"
	droppedBefore = "dropped-before"
	droppedAfter  = "dropped-after"
	failed        = "failed"
)

var errDropped = errors.New("dropped")

// passage is one call on its way through.
type passage struct {
	tap             *tap
	call            call
	user, protocol  string
	began           float64
	status          int
	outcome         string
	broken          atomic.Bool // the API server's answer broke off
	sent, got       atomic.Int64
	again           func() (io.ReadCloser, error)
	clientIsStaying func() bool
}

// finished is how a call is told.
type finished struct {
	Say           string  `json:"say"` // call
	At            float64 `json:"at"`
	Call          string  `json:"call"`
	Verb          string  `json:"verb"`
	Mutating      bool    `json:"mutating"`
	Status        int     `json:"status"`
	RequestBytes  int64   `json:"request_bytes"`
	ResponseBytes int64   `json:"response_bytes"`
	Began         float64 `json:"began"`
	Ended         float64 `json:"ended"`
	User          string  `json:"user"`
	Protocol      string  `json:"protocol"`
	Outcome       string  `json:"outcome"`
}

func (up *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !up.tap.enter() {
		panic(http.ErrAbortHandler)
	}
	defer up.tap.calls.Done()
	client := r.Context().Value(linkKey{}).(*link)
	// an upgraded connection is nobody's but this call's: without it a client that stays would hold up the end
	defer context.AfterFunc(up.tap.living, func() { _ = client.client.Close() })()
	p := up.arrive(r)
	defer p.leave(client)
	transport, ok := client.to(up, r)
	if !ok {
		p.refuse(w)
		return
	}
	// else the server closes the request's body when the answer begins, while the transport may still be asking
	// that body whether it has ended: that breaks the answer off
	_ = http.NewResponseController(w).EnableFullDuplex()
	if p.call.mutating {
		p.read(r)
	}
	if p.call.mutating && !p.tap.told.ask(p.call.String(), "before") {
		p.outcome = droppedBefore
		panic(http.ErrAbortHandler)
	}
	onward := &httputil.ReverseProxy{
		Rewrite:        func(pr *httputil.ProxyRequest) { up.rewrite(pr, p) },
		Transport:      transport,
		FlushInterval:  -1, // what is streamed arrives at once
		ModifyResponse: p.answer,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	onward.ServeHTTP(w, r)
}

func (up *upstream) arrive(r *http.Request) *passage {
	p := &passage{tap: up.tap, call: readCall(r, up.prefix), began: up.tap.told.now(), outcome: failed}
	p.user, _, _ = strings.Cut(r.UserAgent(), " ")
	p.user, p.protocol = shortened(p.user, 80), r.Proto
	p.clientIsStaying = func() bool { return r.Context().Err() == nil }
	r.Body = &counted{ReadCloser: r.Body, bytes: &p.sent}
	return p
}

// rewrite leaves a request as it came, but for where it goes; ReverseProxy would take more away.
func (up *upstream) rewrite(pr *httputil.ProxyRequest, p *passage) {
	pr.Out.URL.Scheme, pr.Out.URL.Host, pr.Out.Host = up.url.Scheme, up.url.Host, up.url.Host
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := pr.In.Header[name]; ok {
			pr.Out.Header[name] = values
		}
	}
	pr.Out.GetBody = p.again
}

// read takes in the whole body, for the name of what is made, and so that a held call waits for nobody
// but the harness.
func (p *passage) read(r *http.Request) {
	came := r.Body
	body, err := io.ReadAll(io.LimitReader(came, longest+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	if len(body) > longest {
		r.Body = &counted{ReadCloser: joined{io.MultiReader(bytes.NewReader(body), came), came}, bytes: new(atomic.Int64)}
		return
	}
	p.call.learn(body)
	p.again = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = p.again()
}

// answer gets the API server's answer before the client does.
func (p *passage) answer(res *http.Response) error {
	p.status = res.StatusCode
	if !p.call.mutating {
		p.outcome = answered
		res.Body = p.watched(res)
		return nil
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return err
	}
	p.got.Add(int64(len(body)))
	if !p.tap.told.ask(p.call.String(), "after") {
		p.outcome = droppedAfter
		return errDropped
	}
	p.outcome = answered
	res.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func (p *passage) watched(res *http.Response) io.ReadCloser {
	if both, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		return &countedBoth{counted{ReadCloser: both, bytes: &p.got}, both, &p.sent}
	}
	broke := func() {
		if p.clientIsStaying() {
			p.broken.Store(true)
		}
	}
	return &counted{ReadCloser: res.Body, bytes: &p.got, broke: broke}
}

// refuse tells a client whose key the tap does not have.
func (p *passage) refuse(w http.ResponseWriter) {
	p.status = http.StatusBadGateway
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": p.status,
		"message": "the harness's API tap has no key for this client certificate; only that of the kubeconfig it was attached to",
	})
}

// leave tells of the call. Without an answer the client's connection is cut, as it is when a server dies.
func (p *passage) leave(client *link) {
	trouble := recover()
	if p.broken.Load() {
		p.outcome = failed
	}
	if trouble != nil && p.outcome != answered && p.clientIsStaying() {
		_ = client.client.Close()
	}
	p.tap.told.say(finished{
		Say: "call", At: p.tap.told.now(), Call: p.call.String(), Verb: p.call.verb, Mutating: p.call.mutating,
		Status: p.status, RequestBytes: p.sent.Load(), ResponseBytes: p.got.Load(), Began: p.began,
		Ended: p.tap.told.now(), User: p.user, Protocol: p.protocol, Outcome: p.outcome,
	})
	if trouble != nil {
		panic(trouble)
	}
}
