package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"net/url"
	"testing"
	"time"

	"dfs/cluster"
	"dfs/cluster/clusterpb"
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
	renamed := good
	renamed.Name = "newer"
	if _, err := n.enrol(ctx, &renamed); !errors.Is(err, fs.ErrQuota) {
		t.Errorf("the same key under a second name: %v", err)
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
	requests := []pki.Request{{Role: pki.RoleMount, Scope: fs.Scope{Subtree: "/a b/\u00fc", ReadOnly: true}}, {Role: pki.RoleMount, Scope: fs.Scope{ReadOnly: true}}}
	for _, role := range pki.Roles() {
		requests = append(requests, pki.Request{Role: role})
	}
	for _, r := range requests {
		dir, role := t.TempDir(), r.Role
		r.Name, r.From = "x", time.Now().Add(-80*24*time.Hour)
		if err := pki.Issue(ca, dir, r); err != nil {
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
		if who := ownerIn(t, c.Leaf()); who != (fs.Owner{Name: "x", Role: string(role), Scope: r.Scope}) {
			t.Errorf("renewed as %+v, was %+v", who, r)
		}
		if who := ownerIn(t, renewGreedily(t, d, n.Addr())); who.Name != "x" || who.Role != string(role) || who.Scope != r.Scope {
			t.Errorf("who asks for more is %+v, was %+v", who, r)
		}
		if err := errors.Join(d.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	}
}

func ownerIn(t *testing.T, leaf *x509.Certificate) fs.Owner {
	t.Helper()
	p, err := pki.PeerOf(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Owner()
}

// renewGreedily asks for a renewal by a request that names another subject, role and use.
func renewGreedily(t *testing.T, d *cluster.Dialer, addr string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	role := &url.URL{Scheme: "dfs", Host: "ca", Path: "/role/admin"}
	constraints := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}} // it is an authority
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "root"},
		URIs: []*url.URL{role}, DNSNames: []string{pki.ServerName}, ExtraExtensions: []pkix.Extension{constraints}}, key)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.DialGRPC(addr)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := clusterpb.NewCertificatesClient(conn).Renew(t.Context(), &clusterpb.RenewRequest{Csr: der})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(reply.GetChain())
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.IsCA || !key.PublicKey.Equal(leaf.PublicKey) {
		t.Errorf("got %+v", leaf)
	}
	return leaf
}
