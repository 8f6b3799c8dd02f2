package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dfs/blob/memstore"
	"dfs/fs"
	"dfs/fs/vfs"
	"dfs/raftmeta/localmeta"
)

// world is a cluster of one node in memory, with the front on one engine and a mount on another.
type world struct {
	t     *testing.T
	meta  *localmeta.Cluster
	store *memstore.Store
	front *vfs.FS // the engine under the front
	mount *vfs.FS // somebody else's
	url   string
	token string
}

func newWorld(t *testing.T, cfg Config) *world {
	return newWorldOn(t, cfg, memstore.Config{Node: "n1"}, nil)
}

func newWorldOn(t *testing.T, cfg Config, disk memstore.Config, faults fs.Faults) *world {
	t.Helper()
	meta, err := localmeta.New(localmeta.Config{TimeoutMillis: 60})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, meta: meta, store: memstore.New(disk)}
	w.front, w.mount = w.engine(faults), w.engine(nil)
	cfg.FS = func(context.Context) (*vfs.FS, error) { return w.front, nil }
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	srv := httptest.NewUnstartedServer(New(cfg).Before(next))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

func (w *world) engine(faults fs.Faults) *vfs.FS {
	w.t.Helper()
	f, err := vfs.New(w.t.Context(), vfs.Config{FlushAge: time.Hour, OpTimeout: 10 * time.Second, DirtyMax: 16 << 20}, w.meta.Mount(faults), w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = f.Close(ctx) // some tests end its session
	})
	return f
}

// answer is a response with its body.
type answer struct {
	*http.Response
	body []byte
}

// ask sends a request; headers are "Name: value".
func (w *world) ask(method, path string, body io.Reader, headers ...string) *answer {
	w.t.Helper()
	a, err := w.try(method, path, body, headers...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (w *world) try(method, path string, body io.Reader, headers ...string) (*answer, error) {
	req, err := http.NewRequest(method, w.url+path, body)
	if err != nil {
		return nil, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // which follows no redirect
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		err = described(req, resp.StatusCode)
	}
	return &answer{resp, data}, err
}

// described fails for a status that the routes do not announce.
func described(r *http.Request, status int) error {
	rt, err := find(r)
	if err != nil || !strings.HasPrefix(r.URL.Path, Prefix) {
		return nil // it was refused before it had a route
	}
	if !slices.Contains(rt.statuses, status) && !slices.Contains(commonStatuses, status) && status != http.StatusTeapot {
		return fmt.Errorf("status %d is not announced for %s ?%s", status, rt.method, rt.selector)
	}
	return nil
}

// is fails unless the answer has a status and, where it is no success, a code.
func (a *answer) is(t *testing.T, status int, code string) *answer {
	t.Helper()
	var e apiError
	if status >= 400 && a.Request.Method != http.MethodHead {
		if err := json.Unmarshal(a.body, &e); err != nil {
			t.Fatalf("%s %s: status %d, body %q: %v", a.Request.Method, a.Request.URL, a.StatusCode, a.body, err)
		}
		if e.Message == "" || e.Request == "" || e.Request != a.Header.Get("X-Request-Id") {
			t.Errorf("incomplete error: %s", a.body)
		}
	}
	if a.StatusCode != status || e.Code != code {
		t.Fatalf("%s %s: %d %s %q, want %d %s", a.Request.Method, a.Request.URL, a.StatusCode, e.Code, e.Message, status, code)
	}
	return a
}

func (w *world) put(path, content string, headers ...string) *answer {
	w.t.Helper()
	return w.ask("PUT", Prefix+path, strings.NewReader(content), headers...)
}

func (w *world) get(path string, headers ...string) *answer {
	w.t.Helper()
	return w.ask("GET", Prefix+path, nil, headers...)
}

// content reads a file of the root through the mount.
func (w *world) content(name string) string {
	w.t.Helper()
	a, err := w.mount.Lookup(w.t.Context(), fs.RootIno, name)
	if err != nil {
		w.t.Fatal(err)
	}
	_, h, _, err := w.mount.Open(w.t.Context(), a.Ino, syscall.O_RDONLY)
	if err != nil {
		w.t.Fatal(err)
	}
	defer h.Release()
	p := make([]byte, a.Size)
	if n, err := h.Read(w.t.Context(), p, 0); err != nil || n != len(p) {
		w.t.Fatalf("read %d: %v", n, err)
	}
	return string(p)
}

// write makes a file of the root through the mount.
func (w *world) write(name, content string) fs.Attr {
	w.t.Helper()
	_, h, err := w.mount.Create(w.t.Context(), vfs.Caller{}, fs.RootIno, name, 0o640, syscall.O_RDWR)
	if err == nil {
		_, err = h.Write(w.t.Context(), []byte(content), 0)
	}
	if err == nil {
		err = h.Flush(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	h.Release()
	a, err := w.mount.Lookup(w.t.Context(), fs.RootIno, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// eventually polls for what happens in the background.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// noise is n bytes that do not repeat.
func noise(n int) string {
	p, x := make([]byte, n), uint32(1)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return string(p)
}

// settled waits until the cluster holds nothing but the inodes and blobs that it should.
func (w *world) settled(inodes uint64) {
	w.t.Helper()
	eventually(w.t, "all pins are gone", func() bool { return w.meta.Pins() == 0 })
	if err := w.meta.Reap(); err != nil {
		w.t.Fatal(err)
	}
	s, err := w.mount.Statfs(w.t.Context(), fs.RootIno)
	if err != nil || s.Inodes != inodes {
		w.t.Errorf("%d inodes, want %d (%v)", s.Inodes, inodes, err)
	}
	if err := w.meta.Check(); err != nil {
		w.t.Error(err)
	}
}
