package enrol

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/config"
	"dfs/fs"
)

// world is an authority and a node that is asked.
type world struct {
	ca    string
	token string
	cfg   Config
	asked atomic.Int32
}

func newWorld(t *testing.T, answer func(issuer *pki.Issuer, r *cluster.EnrolRequest, n int) (*pki.Grant, error)) *world {
	t.Helper()
	w := &world{ca: filepath.Join(t.TempDir(), "ca")}
	dir := filepath.Join(t.TempDir(), "n")
	if err := errors.Join(pki.InitCA(w.ca), pki.Issue(w.ca, dir, pki.Request{Role: pki.RoleNode, Name: "n"})); err != nil {
		t.Fatal(err)
	}
	files, err := pki.FilesIn(dir, pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, pki.RoleNode, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it never fails
	token, err := c.NewToken(pki.RoleMount)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := pki.OpenIssuer(w.ca)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := cluster.Listen(t.Context(), cluster.Config{Listen: "127.0.0.1:0", TLS: c, Enrol: func(_ context.Context, r *cluster.EnrolRequest) (*pki.Grant, error) {
		n := int(w.asked.Add(1))
		return answer(issuer, r, n)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	w.token = token.Text()
	w.cfg = Config{Token: w.token, Dir: filepath.Join(t.TempDir(), "tls"), Role: pki.RoleMount, Name: "m",
		Nodes: []string{"127.0.0.1:1", tr.Addr()}, Log: slog.New(slog.DiscardHandler)}
	return w
}

func grant(issuer *pki.Issuer, r *cluster.EnrolRequest, _ int) (*pki.Grant, error) {
	key, err := pki.ParseCSR(r.CSR)
	if err != nil {
		return nil, err
	}
	chain, err := issuer.Issue(pki.Request{Role: r.Role, Name: r.Name}, key)
	return &pki.Grant{Chain: chain, Root: issuer.Root()}, err
}

func TestEnsure_AsksUntilANodeAnswersAndThenNeverAgain(t *testing.T) {
	w := newWorld(t, func(i *pki.Issuer, r *cluster.EnrolRequest, n int) (*pki.Grant, error) {
		if n == 1 {
			return nil, fs.ErrUnavailable // no leader yet
		}
		return grant(i, r, n)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := Ensure(ctx, w.cfg); err != nil || w.asked.Load() != 2 {
		t.Fatalf("asked %d times: %v", w.asked.Load(), err)
	}
	w.cfg.Token = "it may be anything by now"
	if err := Ensure(ctx, w.cfg); err != nil || w.asked.Load() != 2 {
		t.Errorf("with the files there: %v", err)
	}
}

func TestEnsure_GivesUpWhenRefused(t *testing.T) {
	w := newWorld(t, func(*pki.Issuer, *cluster.EnrolRequest, int) (*pki.Grant, error) { return nil, fs.ErrQuota })
	if err := Ensure(t.Context(), w.cfg); !errors.Is(err, fs.ErrPermission) || w.asked.Load() != 1 {
		t.Errorf("asked %d times: %v", w.asked.Load(), err)
	}
}

func TestEnsure_WrongTokensAreWrongUsage(t *testing.T) {
	w := newWorld(t, grant)
	for name, change := range map[string]func(*Config){
		"rubbish":      func(c *Config) { c.Token = "x" },
		"no file":      func(c *Config) { c.Token = "@" + filepath.Join(t.TempDir(), "x") },
		"another role": func(c *Config) { c.Role = pki.RoleNode },
	} {
		cfg := w.cfg
		change(&cfg)
		if err := Ensure(t.Context(), cfg); !errors.Is(err, config.ErrUsage) || w.asked.Load() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
