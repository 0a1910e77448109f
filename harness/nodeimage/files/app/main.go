//go:build go1.22

// patterns with methods, whatever language version the module names
//go:debug httpmuxgo121=0

// Command app is what deployments on kind deploy: it keeps what it is given, and tells what it has.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	usage = `app: keeps what it is given, and tells what it has

  GET /healthz        200
  GET /               JSON: pod, host (as the client named it), started
  PUT /data/NAME      keeps the body; answers 204 when file and folder are on disk
  GET /data/NAME      the bytes, 404 when there are none
  GET /config/NAME    a file of /config

environment: APP_PORT (8080), APP_DATA (/data)
exit codes: 0 ended by SIGTERM or SIGINT, 1 it could not serve, 2 wrong usage`
	configFolder = "/config"
	stopTimeout  = 5 * time.Second
)

func main() {
	flag.Usage = func() { fmt.Fprintln(flag.CommandLine.Output(), usage) }
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	server := &http.Server{
		Addr:              net.JoinHostPort("", port()),
		Handler:           logged(routes(cmp.Or(os.Getenv("APP_DATA"), "/data"), time.Now().UTC())),
		ReadHeaderTimeout: 10 * time.Second,
	}
	if err := serve(server); err != nil {
		log.Fatal(err)
	}
}

// port is told by APP_PORT. A Service named app makes Kubernetes set that to an address, which is not meant for us.
func port() string {
	told := os.Getenv("APP_PORT")
	if told == "" || strings.HasPrefix(told, "tcp://") {
		return "8080"
	}
	return told
}

// serve returns when it was told to end and the last answer is out.
func serve(server *http.Server) error {
	told, forget := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer forget()
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-told.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return server.Shutdown(ctx)
}

func routes(data string, started time.Time) http.Handler {
	pod, _ := os.Hostname()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, "ok") })
	mux.HandleFunc("GET /{$}", func(answer http.ResponseWriter, request *http.Request) {
		answer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(answer).Encode(map[string]string{
			"pod": pod, "host": request.Host, "started": started.Format(time.RFC3339Nano),
		})
	})
	mux.HandleFunc("GET /data/{name}", give(data))
	mux.HandleFunc("GET /config/{name}", give(configFolder))
	mux.HandleFunc("PUT /data/{name}", take(data))
	return mux
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		noted := &statusWriter{answer, http.StatusOK}
		next.ServeHTTP(noted, request)
		log.Printf("%s %q host=%q %d", request.Method, request.URL.Path, request.Host, noted.status)
	})
}
