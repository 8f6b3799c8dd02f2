package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/config"
	"dfs/fs/rest"
)

func issued(t *testing.T, ca string, role pki.Role) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), string(role))
	if err := pki.Issue(ca, out, pki.Request{Role: role, Name: string(role)}); err != nil {
		t.Fatal(err)
	}
	return out
}

// serveTLS serves a handler on a port as a node with a certificate does.
func serveTLS(t *testing.T, ca string, h http.Handler) (addr string) {
	t.Helper()
	files, err := pki.FilesIn(issued(t, ca, pki.RoleNode), pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, pki.RoleNode, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := cluster.ListenHTTP(t.Context(), "127.0.0.1:0", false, c, "--http", nil)
	if err != nil {
		t.Fatal(err)
	}
	srv, done := cluster.HTTPServer(h, nil), make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(srv.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		<-done
	})
	return ln.Addr().String()
}

func newCA(t *testing.T) string {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca")
	if err := pki.InitCA(ca); err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestFiles_GoOverTLSWithAMountsCertificate(t *testing.T) {
	ca := newCA(t)
	n := startNode(t, rest.Config{})
	var seen []string
	plain := n.front
	n.addr = serveTLS(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := pki.PeerOf(*r.TLS)
		if err != nil {
			t.Error(err)
		}
		seen = append(seen, string(p.Role))
		plain.ServeHTTP(w, r)
	}))
	dir := issued(t, ca, pki.RoleMount)
	src := filepath.Join(t.TempDir(), "x")
	writeFile(t, src, "content")
	n.mustDfs("cp", src, "dfs:/x", "--tls-dir", dir)
	if got := n.mustDfs("cat", "/x", "--tls-dir", dir) + n.mustDfs("ls", "--tls-dir", dir); got != "contentx\n" {
		t.Errorf("it reads %q", got)
	}
	for _, role := range seen {
		if role != "mount" {
			t.Errorf("the node sees the role %q", role)
		}
	}
	for name, c := range map[string]struct{ dir, says string }{
		"another authority": {issued(t, newCA(t), pki.RoleMount), "unknown authority"},
		"an admin":          {issued(t, ca, pki.RoleAdmin), `no certificate for the role "mount"`},
	} {
		if code, out, errs := n.dfs("", "cat", "/x", "--tls-dir", c.dir); code == 0 || out != "" || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit code %d, %q, %q", name, code, out, errs)
		}
	}
	if code, out, _ := n.dfs("", "cat", "/x"); code == 0 || out != "" {
		t.Errorf("without TLS: exit code %d, %q", code, out)
	}
}

func TestBundle_ScrapesOverTLS(t *testing.T) {
	ca := newCA(t)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := "dfs_plain 1\n"
		if r.TLS != nil {
			text = "dfs_secure 1\n"
		}
		_, _ = io.WriteString(w, text) // the test sees what is missing
	})
	ln, err := cluster.ListenHTTP(t.Context(), "127.0.0.1:0", false, nil, "--metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	mount, done := cluster.HTTPServer(metrics, nil), make(chan error, 1)
	go func() { done <- mount.Serve(ln) }()
	defer func() {
		_ = mount.Close() // the test is over
		<-done
	}()
	out := filepath.Join(t.TempDir(), "b.tar.gz")
	a := &admin{Admin: config.Admin{Addr: "127.0.0.1:1", Timeout: 2 * time.Second, TLS: config.TLS{Dir: issued(t, ca, pki.RoleAdmin)}}}
	b := &bundle{metrics: []string{serveTLS(t, ca, metrics), ln.Addr().String()}, dir: t.TempDir()}
	if err := a.bundleInto(t.Context(), b, out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, data)
	if a, b := files["metrics-0.txt"], files["metrics-1.txt"]; a != "dfs_secure 1\n" || b != "dfs_plain 1\n" {
		t.Errorf("a node's metrics are %q, a mount's %q", a, b)
	}
}
