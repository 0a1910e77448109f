package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	classAnnotation = "kubernetes.io/ingress.class"
	plainAnnotation = "caddy.ingress.kubernetes.io/disable-ssl-redirect"
)

type route struct {
	host, path, backend string
	prefix, plain       bool
}

func (r route) fits(host, path string) bool {
	if r.host != "" && !strings.EqualFold(r.host, host) {
		return false
	}
	return r.path == "" || path == r.path || r.prefix && strings.HasPrefix(path, r.path)
}

type routes struct {
	all          []route
	certificates map[string]*tls.Certificate
	open         map[string]bool // hosts under no tls
	notes        []string
}

func newRoutes(ingresses []ingress, secrets []secret, chosen options, own string) *routes {
	made := &routes{certificates: map[string]*tls.Certificate{}, open: map[string]bool{}}
	known := map[string]secret{}
	for _, one := range secrets {
		known[one.Metadata.Namespace+"/"+one.Metadata.Name] = one
	}
	for _, one := range ingresses {
		if mine(one, chosen) {
			made.add(one, known)
		}
	}
	made.lend(secrets, own)
	// the longest path first, as an Ingress promises
	sort.SliceStable(made.all, func(i, j int) bool { return len(made.all[i].path) > len(made.all[j].path) })
	return made
}

func mine(one ingress, chosen options) bool {
	class := one.Metadata.Annotations[classAnnotation]
	if class == "" && one.Spec.ClassName != nil {
		class = *one.Spec.ClassName
	}
	return class == chosen.class || class == "" && !chosen.classRequired
}

func (r *routes) add(one ingress, secrets map[string]secret) {
	named := map[string]bool{}
	for _, rule := range one.Spec.TLS {
		for _, host := range rule.Hosts {
			named[strings.ToLower(host)] = true
		}
		name := one.Metadata.Namespace + "/" + rule.SecretName
		pair, err := tls.X509KeyPair(secrets[name].Data["tls.crt"], secrets[name].Data["tls.key"])
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("no certificate from secret %s: %v", name, err))
			continue
		}
		for _, host := range rule.Hosts {
			r.certificates[strings.ToLower(host)] = &pair
		}
	}
	for _, rule := range one.Spec.Rules {
		if host := strings.ToLower(rule.Host); host != "" && !named[host] {
			r.open[host] = true
		}
		for _, path := range rule.HTTP.Paths {
			service := path.Backend.Service
			name := fmt.Sprintf("%s.%s.svc.cluster.local", service.Name, one.Metadata.Namespace)
			r.all = append(r.all, route{
				host: rule.Host, path: path.Path, prefix: path.PathType == "Prefix",
				backend: net.JoinHostPort(name, strconv.Itoa(service.Port.Number)),
				plain:   one.Metadata.Annotations[plainAnnotation] == "true",
			})
		}
	}
}

func (r *routes) certificate(host string) (*tls.Certificate, error) {
	host = strings.ToLower(host)
	if found := r.certificates[host]; found != nil {
		return found, nil
	}
	if r.open[host] {
		return selfMade(host)
	}
	return nil, fmt.Errorf("no secret has a certificate for %q", host)
}

func (r *routes) find(host, path string) *route {
	for index := range r.all {
		if r.all[index].fits(host, path) {
			return &r.all[index]
		}
	}
	return nil
}

func (r *routes) String() string {
	text := fmt.Sprintf("serving %d routes, certificates for %d hosts", len(r.all), len(r.certificates))
	return strings.Join(append([]string{text}, r.notes...), "; ")
}

type backendKey struct{}

func serve(table *atomic.Pointer[routes], encrypted bool) http.Handler {
	// a connection made before kube-proxy knew the Service would go on leading out of the node
	direct := &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{Transport: direct, Rewrite: func(request *httputil.ProxyRequest) {
		backend, _ := request.In.Context().Value(backendKey{}).(string)
		request.SetURL(&url.URL{Scheme: "http", Host: backend})
		request.SetXForwarded()
		request.Out.Host = request.In.Host
	}}
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		host := request.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		found := table.Load().find(host, request.URL.Path)
		switch {
		case found == nil: // empty, as Caddy answers what no route fits
			answer.WriteHeader(http.StatusOK)
		case !encrypted && !found.plain:
			http.Redirect(answer, request, "https://"+host+request.URL.RequestURI(), http.StatusPermanentRedirect)
		default:
			ctx := context.WithValue(request.Context(), backendKey{}, found.backend)
			proxy.ServeHTTP(answer, request.WithContext(ctx))
		}
	})
}
