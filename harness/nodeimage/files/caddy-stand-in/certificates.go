package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"time"
)

const lifetime = 24 * time.Hour

// A host under no tls is one that Caddy gets a certificate for by itself, by ACME, and keeps it in Secrets of its own
// namespace. Nothing is asked from outside here: such a host is shown what is kept there, or one made on the spot.

// lend finds certificates for open hosts among the Secrets of the controller's own namespace, by their names.
func (r *routes) lend(secrets []secret, own string) {
	for _, one := range secrets {
		if one.Metadata.Namespace != own {
			continue
		}
		pair, err := tls.X509KeyPair(one.Data["tls.crt"], one.Data["tls.key"])
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("no certificate from secret %s/%s: %v", own, one.Metadata.Name, err))
			continue
		}
		for host := range r.open {
			if r.certificates[host] == nil && covers(&pair, host) {
				r.certificates[host] = &pair
			}
		}
	}
}

func covers(pair *tls.Certificate, host string) bool {
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	return err == nil && leaf.VerifyHostname(host) == nil
}

var selfMadeKept sync.Map // by host; everything is read anew every few seconds, and a certificate is not to change by that

func selfMade(host string) (*tls.Certificate, error) {
	if known, found := selfMadeKept.Load(host); found {
		return known.(*tls.Certificate), nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{Organization: []string{"caddy-stand-in"}},
		DNSNames:     []string{host},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	kept, _ := selfMadeKept.LoadOrStore(host, &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key})
	return kept.(*tls.Certificate), nil
}
