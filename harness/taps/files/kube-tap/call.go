package main

import (
	"net/http"
	"slices"
	"strings"
)

const nameless = "?"

// What is asked of an object without being kept (Kubernetes API: connect requests, tokens, logs).
var passing = []string{"exec", "attach", "portforward", "proxy", "token", "log"}

// Everything in these groups is a question.
var asking = []string{"authentication.k8s.io", "authorization.k8s.io"}

// call is what a request means to the API server.
type call struct {
	verb      string
	path      string // of what is no resource
	resource  string // with its group
	sub       string
	namespace string
	name      string
	mutating  bool
}

// String is the same for the same call in another run.
func (c *call) String() string {
	if c.path != "" {
		return "api " + c.verb + " " + c.path
	}
	words := "api " + c.verb + " " + c.resource
	if c.sub != "" {
		words += "/" + c.sub
	}
	switch {
	case c.namespace != "" && c.name != "":
		words += " " + c.namespace + "/" + c.name
	case c.namespace != "" || c.name != "":
		words += " " + c.namespace + c.name
	}
	return words
}

// readCall reads a path as the API server does (apiserver's RequestInfo).
func readCall(r *http.Request, prefix string) call {
	path := strings.TrimPrefix(r.URL.Path, prefix)
	parts := strings.Split(strings.Trim(path, "/"), "/")
	group := ""
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		group, parts = parts[1], parts[3:]
	default:
		return call{verb: strings.ToLower(r.Method), path: shortened(path, 200)}
	}
	c := call{}
	if parts[0] == "watch" && len(parts) > 1 {
		c.verb, parts = "watch", parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		c.namespace, parts = parts[1], parts[2:]
	}
	c.resource = parts[0]
	if len(parts) > 1 {
		c.name = parts[1]
	}
	if len(parts) > 2 {
		c.sub = parts[2]
	}
	if c.verb == "" {
		c.verb = verbOf(r, c.name)
	}
	if c.name == "" {
		c.name = selected(r)
	}
	c.mutating = changes(c, group) && r.URL.Query().Get("dryRun") == ""
	if group != "" {
		c.resource += "." + group
	}
	c.resource, c.sub = shortened(c.resource, 253), shortened(c.sub, 63)
	c.namespace, c.name = shortened(c.namespace, 253), shortened(c.name, 253)
	return c
}

func verbOf(r *http.Request, name string) string {
	switch r.Method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if name == "" {
			return "deletecollection"
		}
		return "delete"
	case http.MethodGet, http.MethodHead:
		if name != "" {
			return "get"
		}
		if watch, ok := r.URL.Query()["watch"]; ok && watch[0] != "false" && watch[0] != "0" {
			return "watch"
		}
		return "list"
	}
	return strings.ToLower(r.Method)
}

// selected is the one object that a list or a watch is about.
func selected(r *http.Request) string {
	for _, term := range strings.Split(r.URL.Query().Get("fieldSelector"), ",") {
		if name, ok := strings.CutPrefix(term, "metadata.name="); ok {
			return strings.TrimPrefix(name, "=")
		}
	}
	return ""
}

func changes(c call, group string) bool {
	if slices.Contains(asking, group) || slices.Contains(passing, c.sub) {
		return false
	}
	return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, c.verb)
}

// learn takes from a body what the path does not say.
func (c *call) learn(body []byte) {
	if strings.HasPrefix(c.verb, "delete") {
		c.mutating = !asksDryRun(body)
	}
	if c.name != "" || c.verb != "create" {
		return
	}
	if c.name = shortened(nameIn(body), 253); c.name == "" {
		c.name = nameless
	}
}

// shortened keeps what may stand in a call's name: no spaces, no control characters, not without end.
func shortened(text string, most int) string {
	odd := func(char rune) bool { return char <= ' ' || char > '~' }
	if strings.ContainsFunc(text, odd) {
		return nameless
	}
	return text[:min(len(text), most)]
}
