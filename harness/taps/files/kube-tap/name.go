package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"regexp"
	"strings"
)

// What Kubernetes puts before a message, which is a runtime.Unknown.
var protobufMagic = []byte("k8s\x00")

// The numbers of fields, from Kubernetes' generated.proto files.
const (
	unknownRaw           = 2
	objectMetadata       = 1
	metadataName         = 1
	metadataGenerateName = 2
	deleteOptionsDryRun  = 5
	wireBytes            = 2
)

var (
	yamlMetadata = regexp.MustCompile(`^metadata:\s*(?:\{(.*)\}\s*)?(?:#.*)?$`)
	yamlPair     = regexp.MustCompile(`^\s*["']?([A-Za-z]+)["']?\s*:\s*["']?([^"'\s,#]*)`)
)

// nameIn is the name of an object: JSON, protobuf, or YAML in its block form; empty when there is none.
func nameIn(body []byte) string {
	if message, ok := bytes.CutPrefix(body, protobufMagic); ok {
		metadata := field(field(message, unknownRaw), objectMetadata)
		return named(string(field(metadata, metadataName)), string(field(metadata, metadataGenerateName)))
	}
	var object struct {
		Metadata struct {
			Name         string `json:"name"`
			GenerateName string `json:"generateName"`
		} `json:"metadata"`
	}
	if json.Unmarshal(body, &object) == nil {
		return named(object.Metadata.Name, object.Metadata.GenerateName)
	}
	pairs := yamlPairs(string(body))
	return named(pairs["name"], pairs["generateName"])
}

func named(name, generated string) string {
	if name == "" && generated != "" {
		return generated + "*"
	}
	return name
}

// field returns the first field of that number in a protobuf message, if it holds bytes.
func field(message []byte, number uint64) []byte {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return nil
		}
		message = message[n:]
		length, skipped := sizeOf(message, tag&7)
		if skipped < 0 || length > uint64(len(message)-skipped) {
			return nil
		}
		value := message[skipped : skipped+int(length)]
		if tag>>3 == number && tag&7 == wireBytes {
			return value
		}
		message = message[skipped+int(length):]
	}
	return nil
}

// sizeOf returns a value's length and that of what stands before it; -1 for what Kubernetes never writes.
func sizeOf(message []byte, wire uint64) (uint64, int) {
	switch wire {
	case 0:
		_, n := binary.Uvarint(message)
		if n <= 0 {
			return 0, -1
		}
		return uint64(n), 0
	case 1:
		return 8, 0
	case wireBytes:
		length, n := binary.Uvarint(message)
		if n <= 0 {
			return 0, -1
		}
		return length, n
	case 5:
		return 4, 0
	}
	return 0, -1
}

// yamlPairs reads the plain pairs right below metadata.
func yamlPairs(text string) map[string]string {
	pairs := map[string]string{}
	inside, depth := false, -1
	for _, line := range strings.Split(text, "\n") {
		bare := strings.TrimLeft(line, " ")
		indent := len(line) - len(bare)
		if bare = strings.TrimSpace(bare); bare == "" || bare[0] == '#' {
			continue
		}
		if indent == 0 {
			found := yamlMetadata.FindStringSubmatch(bare)
			inside, depth = found != nil, -1
			if inside && found[1] != "" {
				keep(pairs, strings.Split(found[1], ",")...)
			}
			continue
		}
		if inside && depth < 0 {
			depth = indent
		}
		if inside && indent == depth {
			keep(pairs, bare)
		}
	}
	return pairs
}

func keep(pairs map[string]string, lines ...string) {
	for _, line := range lines {
		if found := yamlPair.FindStringSubmatch(line); found != nil {
			pairs[found[1]] = found[2]
		}
	}
}

// asksDryRun reads DeleteOptions.
func asksDryRun(body []byte) bool {
	if message, ok := bytes.CutPrefix(body, protobufMagic); ok {
		return field(field(message, unknownRaw), deleteOptionsDryRun) != nil
	}
	var options struct {
		DryRun []string `json:"dryRun"`
	}
	return json.Unmarshal(body, &options) == nil && len(options.DryRun) > 0
}
