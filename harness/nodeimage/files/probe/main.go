// Command probe asks one question from inside a pod and prints one line of JSON. It is static and lies
// in every node image, so a fresh pod can be started where nothing can be pulled.
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
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	account = "/var/run/secrets/kubernetes.io/serviceaccount/"
	timeout = 10 * time.Second
	usage   = `probe: asks one question from inside a pod, answers with one line of JSON

  probe pause-forever      stay until told to end
  probe dns NAME           the addresses of NAME
  probe api                GET /version and the pods of the own namespace
  probe get URL            status and body of a plain HTTP address
  probe env                the environment, as a JSON object
  probe write FILE TEXT    write and sync, folders included
  probe read FILE          the text of FILE
  probe serve PORT         answer every HTTP request with the pod's name

exit codes: 0 answered, 1 the answer is an error, 2 wrong usage`
)

var verbs = map[string]struct {
	words int
	run   func([]string) (any, error)
}{
	"pause-forever": {0, pauseForever},
	"dns":           {1, resolve},
	"api":           {0, askAPI},
	"get":           {1, get},
	"env":           {0, environment},
	"write":         {2, write},
	"read":          {1, read},
	"serve":         {1, serve},
}

func main() {
	if len(os.Args) < 2 || verbs[os.Args[1]].run == nil || len(os.Args)-2 != verbs[os.Args[1]].words {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	answer, err := verbs[os.Args[1]].run(os.Args[2:])
	if err != nil {
		say(map[string]any{"ok": false, "error": err.Error()})
		os.Exit(1)
	}
	say(map[string]any{"ok": true, "answer": answer})
}

func say(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		text = []byte(`{"ok":false,"error":"the answer is not JSON"}`)
	}
	fmt.Println(string(text))
}

func pauseForever([]string) (any, error) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	return (<-told).String(), nil
}

func resolve(words []string) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, words[0])
}

func environment([]string) (any, error) {
	all := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = value
	}
	return all, nil
}

func write(words []string) (any, error) {
	if err := os.MkdirAll(filepath.Dir(words[0]), 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(words[0])
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteString(words[1]); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	return len(words[1]), file.Close()
}

func read(words []string) (any, error) {
	text, err := os.ReadFile(words[0])
	return string(text), err
}

func get(words []string) (any, error) {
	client := &http.Client{Timeout: timeout}
	response, err := client.Get(words[0])
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return map[string]any{"status": response.StatusCode, "body": string(body)}, err
}

func serve(words []string) (any, error) {
	name, _ := os.Hostname()
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	server := &http.Server{
		Addr:              ":" + words[0],
		ReadHeaderTimeout: timeout,
		Handler: http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(answer, name)
		}),
	}
	go func() {
		<-told
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return nil, err
	}
	return "closed", nil
}

func askAPI([]string) (any, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not defined")
	}
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	client := &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
	}
	base := "https://" + net.JoinHostPort(host, port)
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	if _, err := ask(client, base+"/version", &version); err != nil {
		return nil, err
	}
	namespace, err := os.ReadFile(account + "namespace")
	if err != nil {
		return nil, err
	}
	var pods struct {
		Items []json.RawMessage `json:"items"`
	}
	// an account without rights is refused: that is an answer of a living API too
	status, err := ask(client, base+"/api/v1/namespaces/"+string(namespace)+"/pods", &pods)
	if err != nil && status != http.StatusForbidden {
		return nil, err
	}
	return map[string]any{
		"address": base, "version": version.GitVersion, "namespace": string(namespace),
		"status": status, "pods": len(pods.Items),
	}, nil
}

func ask(client *http.Client, url string, into any) (int, error) {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return response.StatusCode, fmt.Errorf("%s: %s", response.Status, said)
	}
	return response.StatusCode, json.NewDecoder(response.Body).Decode(into)
}
