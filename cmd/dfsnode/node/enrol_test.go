package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/fs"
)

// formed runs a node until it leads its cluster.
func formed(t *testing.T) (*Node, string) {
	t.Helper()
	n, ca := tlsNode(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	for {
		tryCtx, stop := context.WithTimeout(ctx, time.Second)
		_, err := n.meta.Tokens(tryCtx)
		stop()
		if err == nil && n.meta.ClusterID() != "" {
			return n, ca
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case err := <-done:
			t.Fatal(err)
		}
	}
}

func csr(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestEnrol_OneUseIsForOneKeyHoweverOftenItAsks(t *testing.T) {
	n, _ := formed(t)
	ctx := t.Context()
	token, err := n.tls.NewToken(pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	known := fs.JoinToken{ID: token.ID, Role: "node", Expires: fs.TimeOf(time.Now().Add(time.Hour)), Uses: 1}
	if err := n.meta.PutToken(ctx, known, pki.HashSecret(token.Secret())); err != nil {
		t.Fatal(err)
	}
	good := cluster.EnrolRequest{Token: token.ID, Secret: token.Secret(), Role: pki.RoleNode, CSR: csr(t), Name: "new", Hosts: []string{"h"}}
	for name, change := range map[string]func(*cluster.EnrolRequest){
		"no token":       func(r *cluster.EnrolRequest) { r.Token = "0123456789abcdef" },
		"another secret": func(r *cluster.EnrolRequest) { r.Secret = []byte("x") },
		"another role":   func(r *cluster.EnrolRequest) { r.Role, r.Hosts = pki.RoleMount, nil },
		"an admin":       func(r *cluster.EnrolRequest) { r.Role, r.Hosts = pki.RoleAdmin, nil },
		"no request":     func(r *cluster.EnrolRequest) { r.CSR = []byte("x") },
		"a path":         func(r *cluster.EnrolRequest) { r.Name = "../x" },
		"a bad host":     func(r *cluster.EnrolRequest) { r.Hosts = []string{"a b"} },
	} {
		r := good
		change(&r)
		if g, err := n.enrol(ctx, &r); err == nil || errors.Is(err, fs.ErrUnavailable) {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
	for range 3 {
		g, err := n.enrol(ctx, &good)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Chain) == 0 || len(g.Root) == 0 || len(g.GossipKey) == 0 || len(g.IssuerKey) == 0 || len(g.IssuerCert) == 0 {
			t.Errorf("granted %+v", g)
		}
	}
	second := good
	second.CSR = csr(t)
	if _, err := n.enrol(ctx, &second); !errors.Is(err, fs.ErrQuota) {
		t.Errorf("a second key: %v", err)
	}
}

// What the issuer's key opens is not handed to mounts.
func TestEnrol_AMountGetsItsCertificateOnly(t *testing.T) {
	n, _ := formed(t)
	token, err := n.tls.NewToken(pki.RoleMount)
	if err != nil {
		t.Fatal(err)
	}
	known := fs.JoinToken{ID: token.ID, Role: "mount", Expires: fs.TimeOf(time.Now().Add(time.Hour)), Uses: 1}
	if err := n.meta.PutToken(t.Context(), known, pki.HashSecret(token.Secret())); err != nil {
		t.Fatal(err)
	}
	g, err := n.enrol(t.Context(), &cluster.EnrolRequest{Token: token.ID, Secret: token.Secret(), Role: pki.RoleMount, CSR: csr(t), Name: "m"})
	if err != nil || len(g.Chain) == 0 || g.GossipKey != nil || g.IssuerKey != nil || g.IssuerCert != nil {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestEnrol_WithoutAnIssuerOrAClusterSendsElsewhere(t *testing.T) {
	n, _ := tlsNode(t, true) // does not run: it belongs to no cluster
	r := &cluster.EnrolRequest{Role: pki.RoleMount, CSR: csr(t), Name: "m"}
	if _, err := n.enrol(t.Context(), r); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("without a cluster: %v", err)
	}
	m, _ := formed(t)
	m.cfg.TLS.Dir = t.TempDir()
	if _, err := m.enrol(t.Context(), r); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("without an issuer: %v", err)
	}
}

// renewal over the network: each role's own certificate, for another key, and never another role's.
func TestRenew_AnswersWithTheCallersOwnCertificate(t *testing.T) {
	n, ca := tlsNode(t, true)
	for _, role := range pki.Roles() {
		dir := t.TempDir()
		if err := pki.Issue(ca, dir, pki.Request{Role: role, Name: "x", From: time.Now().Add(-80 * 24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		files, err := pki.FilesIn(dir, role)
		if err != nil {
			t.Fatal(err)
		}
		c, err := pki.Open(files, role, nil)
		if err != nil {
			t.Fatal(err)
		}
		d := cluster.NewDialer(cluster.DialerConfig{TLS: c})
		before := c.Leaf()
		if err := c.Renew(t.Context(), cluster.RenewAt(d, func() []string { return []string{n.Addr()} })); err != nil {
			t.Error(err)
		}
		if after := c.Leaf(); after.Equal(before) || after.URIs[0].String() != before.URIs[0].String() || after.Subject.CommonName != "x" {
			t.Errorf("%s: renewed as %+v", role, after)
		}
		if err := errors.Join(d.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	}
}
