//go:build go1.22

// Command caddy-stand-in stands in for the Caddy ingress controller where that cannot be had. It is not Caddy: it
// takes the same flags and environment, serves the same ports, reads the same objects, and writes none.
// docs/node-image.md says what differs.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	about = `caddy-stand-in: stands in for the Caddy ingress controller; it is not Caddy

Serves the Ingresses of a class on :80 and :443 with the certificates of their Secrets, and 200 on
:9765/healthz once it has read them. A host under no tls is shown a certificate of its name from a Secret of type
kubernetes.io/tls in the pod's own namespace, or else one made here: nothing is asked from outside.
Needs POD_NAME and POD_NAMESPACE, and the rights to list ingresses, secrets and configmaps and to get its pod.

exit codes: 0 ended by SIGTERM or SIGINT, 1 it could not serve, 2 wrong usage`
	pollEvery   = 2 * time.Second
	stopTimeout = 5 * time.Second
)

type options struct {
	namespace, class, configMap string
	classRequired               bool
}

func main() {
	chosen := parse()
	pod, own := os.Getenv("POD_NAME"), os.Getenv("POD_NAMESPACE")
	if pod == "" || own == "" {
		log.Fatal("unable to get pod information: POD_NAME or POD_NAMESPACE is missing")
	}
	api, err := inCluster()
	if err != nil {
		log.Fatal(err)
	}
	told, forget := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer forget()
	if err := run(told, api, chosen, pod, own); err != nil {
		log.Fatal(err)
	}
}

func parse() options {
	var chosen options
	flag.StringVar(&chosen.namespace, "namespace", "", "namespace whose ingresses are served; all by default")
	flag.StringVar(&chosen.class, "class-name", "caddy", "class of the ingresses that are served")
	flag.BoolVar(&chosen.classRequired, "class-name-required", false, "leave ingresses without a class alone")
	flag.StringVar(&chosen.configMap, "config-map", "", "name of a config map in the pod's own namespace; read, its keys have no effect")
	flag.String("lease-id", "", "taken for compatibility, no effect")
	flag.Bool("verbose", false, "taken for compatibility, no effect")
	flag.String("plugins-order", "", "taken for compatibility, no effect")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), about)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	return chosen
}

// run serves until told to end. It is healthy from its first complete reading on, and keeps serving what it last
// read while the API does not answer.
func run(told context.Context, api *client, chosen options, pod, own string) error {
	var table atomic.Pointer[routes]
	table.Store(&routes{})
	servers := []*http.Server{
		{Addr: ":80", Handler: serve(&table, false)},
		{Addr: ":443", Handler: serve(&table, true), TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return table.Load().certificate(hello.ServerName)
			},
		}},
		{Addr: ":9765", Handler: health()},
	}
	ended := make(chan error, len(servers))
	started, last := false, ""
	for {
		read, err := readAll(told, api, chosen, pod, own)
		if err == nil {
			table.Store(read)
			if !started {
				start(servers, ended)
				started = true
			}
		}
		if said := describe(read, err); said != last && told.Err() == nil {
			log.Print(said)
			last = said
		}
		select {
		case err := <-ended:
			return err
		case <-told.Done():
			return stop(servers)
		case <-time.After(pollEvery):
		}
	}
}

func describe(read *routes, err error) string {
	if err != nil {
		return "could not read: " + err.Error()
	}
	return read.String()
}

func start(servers []*http.Server, ended chan<- error) {
	for _, server := range servers {
		server.ReadHeaderTimeout = 10 * time.Second
		go func(server *http.Server) {
			if server.TLSConfig != nil {
				ended <- server.ListenAndServeTLS("", "")
				return
			}
			ended <- server.ListenAndServe()
		}(server)
	}
}

func stop(servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var failed error
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			failed = cmp.Or(failed, err)
		}
	}
	return failed
}

func health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(http.StatusOK) })
	return mux
}
