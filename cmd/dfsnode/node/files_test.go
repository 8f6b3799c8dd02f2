package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dfs/cmd/dfsmount/mount"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/fs/rest"
)

func TestFilesBeyondLoopback_WantATokenOrInsecure(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bound    string
		cfg      Config
		admitted bool
	}{
		{"127.0.0.1:7480", Config{}, true},
		{"[::1]:7480", Config{}, true},
		{"10.0.0.1:7480", Config{}, false},
		{"[::]:7480", Config{}, false},
		{"10.0.0.1:7480", Config{Insecure: true}, true},
		{"10.0.0.1:7480", Config{REST: config.REST{TokenFile: tokens}}, true},
	} {
		err := (&Node{cfg: c.cfg}).admitFiles(c.bound)
		if (err == nil) != c.admitted || err != nil && (!errors.Is(err, config.ErrUsage) || !strings.Contains(err.Error(), "--rest-token-file")) {
			t.Errorf("%s %+v: %v", c.bound, c.cfg.REST, err)
		}
	}
}

func TestFilesSession_IsOpenedOnceTheNodeIsUp(t *testing.T) {
	s := &filesSession{turn: make(chan struct{}, 1)}
	if _, err := s.get(t.Context()); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("while starting: %v", err)
	}
	opened := 0
	s.open = func(context.Context) (*mount.Client, error) {
		if opened++; opened == 1 {
			return nil, errors.New("no cluster yet")
		}
		return &mount.Client{}, nil
	}
	if _, err := s.get(t.Context()); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("without a cluster: %v", err)
	}
	for range 3 {
		if _, err := s.get(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if opened != 2 {
		t.Errorf("opened %d times", opened)
	}
	s.closed = true
	if _, err := s.get(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	s.turn <- struct{}{} // somebody is opening it
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.get(ctx); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("a client that is gone: %v", err)
	}
}

func TestRequestsWithoutACluster_DoNotQueueForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &filesSession{turn: make(chan struct{}, 1), open: func(ctx context.Context) (*mount.Client, error) {
			ctx, cancel := context.WithTimeout(ctx, filesConnect)
			defer cancel()
			<-ctx.Done() // as mount.Open looks for one
			return nil, ctx.Err()
		}}
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := s.get(t.Context()); !errors.Is(err, fs.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > filesConnect {
			t.Errorf("the last one waited for %v", took)
		}
	})
}

// With TLS it is the certificate's role that decides about files, and about nothing else on the port.
func TestForMounts_LetsOnlyMountsAndNodesAtTheFiles(t *testing.T) {
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, c := range []struct {
		role string
		path string
		want int
	}{
		{"mount", rest.Prefix + "/f", http.StatusTeapot}, {"node", rest.Prefix + "/f", http.StatusTeapot},
		{"admin", rest.Prefix + "/f", http.StatusForbidden}, {"none", rest.Prefix + "/f", http.StatusForbidden},
		{"admin", "/readyz", http.StatusTeapot}, {"plain", rest.Prefix + "/f", http.StatusTeapot},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		if c.role != "plain" {
			uri, err := url.Parse("dfs://ca/role/" + c.role)
			if err != nil {
				t.Fatal(err)
			}
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{URIs: []*url.URL{uri}}}}
		}
		w := httptest.NewRecorder()
		forMounts(served).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s at %s: %d, want %d", c.role, c.path, w.Code, c.want)
		}
	}
}
