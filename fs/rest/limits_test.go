package rest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dfs/blob/memstore"
	"dfs/fs"
	"dfs/fs/vfs"
)

func TestClientThatStopsSending_IsCutOff(t *testing.T) {
	w := newWorld(t, Config{Idle: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT /v1/fs/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(got), " 408 ") || !strings.Contains(string(got), `"timeout"`) {
		t.Errorf("%v, %s", err, got)
	}
	w.settled(1)
}

func TestBodyThatIsAnnouncedAndNotSent_DoesNotKeepARefusal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := ReadTokens(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Config{Idle: 50 * time.Millisecond, Tokens: tokens})
	for _, path := range []string{"/v1/fs/f", "/v1/status", openAPIPath} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "PUT "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 4") {
			t.Errorf("%s: %v, %s", path, err, got)
		}
	}
}

func TestRequests_AreObserved(t *testing.T) {
	seen := make(chan Done, 10)
	w := newWorld(t, Config{Observe: func(d Done) { seen <- d }})
	w.put("/f", "12345").is(t, 201, "")
	w.get("/f", "Range: bytes=1-2").is(t, 206, "")
	w.get("/none").is(t, 404, "not_found")
	w.get("/?list").is(t, 200, "")
	w.get("/f?x").is(t, 400, "invalid")
	w.get("/f", "If-None-Match: *").is(t, 304, "")
	for i, want := range []Done{{Operation: "put", Written: 5}, {Operation: "get", Read: 2}, {Operation: "get", Code: "not_found"},
		{Operation: "list"}, {Operation: "none", Code: "invalid"}, {Operation: "get"}} {
		got := <-seen
		if got.Took <= 0 {
			t.Errorf("%d took %v", i, got.Took)
		}
		if got.Took = 0; got != want {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
}

func TestRequestThatPanics_IsNoSuccess(t *testing.T) {
	var got Done
	s := New(Config{Observe: func(d Done) { got = d }, FS: func(context.Context) (*vfs.FS, error) { panic("a bug") }})
	func() {
		defer func() { _ = recover() }() // as net/http does
		s.Before(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, Prefix+"/f", nil))
	}()
	if got.Code != "internal" || got.Operation != "get" {
		t.Errorf("%+v", got)
	}
}

func TestRequestID_GoesToTheCluster(t *testing.T) {
	w := newWorld(t, Config{})
	cfg := Config{FS: func(ctx context.Context) (*vfs.FS, error) {
		if id := fs.RequestID(ctx); id != "mine" {
			t.Errorf("request id %q", id)
		}
		return w.front, nil
	}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, Prefix+"/?list", nil)
	r.Header.Set("X-Request-Id", "mine")
	New(cfg).Before(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
}

func TestUploadsThatWait_HoldNothingInTheCluster(t *testing.T) {
	w := newWorld(t, Config{})
	s := New(Config{FS: func(context.Context) (*vfs.FS, error) { return w.front, nil }})
	for range transfersMax {
		s.transfers <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, answer := httptest.NewRequestWithContext(ctx, http.MethodPut, Prefix+"/f", strings.NewReader("x")), httptest.NewRecorder()
	s.Before(http.NotFoundHandler()).ServeHTTP(answer, r)
	if answer.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", answer.Code)
	}
	if st, err := w.mount.Statfs(t.Context(), fs.RootIno); err != nil || st.Inodes != 1 {
		t.Errorf("%d inodes, %v", st.Inodes, err)
	}
}

func TestLostBlob_IsNoConflict(t *testing.T) {
	w := newWorld(t, Config{})
	w.put("/f", noise(1<<20)).is(t, 201, "")
	list, err := w.store.List(t.Context(), fs.BlobID{}, 10)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d blobs, %v", len(list), err)
	}
	for _, e := range list {
		if err := w.store.Delete(t.Context(), []fs.BlobID{e.ID}); err != nil {
			t.Fatal(err)
		}
	}
	w.get("/f").is(t, 500, "corrupt")
}

func TestTooLargeABody_IsRefusedAndLeavesNothing(t *testing.T) {
	w := newWorld(t, Config{MaxBytes: 1000})
	w.put("/f", noise(1000)).is(t, 201, "")
	w.put("/g", noise(1001)).is(t, 413, "too_large")
	w.ask("PUT", Prefix+"/g", struct{ *strings.Reader }{strings.NewReader(noise(1001))}).is(t, 413, "too_large") // of unknown length
	w.settled(2)
}

func TestFullCluster_Is507(t *testing.T) {
	w := newWorldOn(t, Config{}, memstore.Config{Node: "n1", CapacityBytes: 1 << 20}, nil)
	a := w.put("/f", noise(6<<20)).is(t, 507, "no_space")
	if strings.Contains(string(a.body), "blob") {
		t.Errorf("the client was told of our insides: %s", a.body)
	}
	w.get("/f").is(t, 404, "not_found")
	w.settled(1)
}

func TestSessionThatEndsDuringAnUpload_Is503(t *testing.T) {
	ended := make(chan struct{}, 1)
	var w *world
	faults := func(step string) error {
		if step != "commit" {
			return nil
		}
		select {
		case ended <- struct{}{}:
			return nil // the Create of the nameless file
		default:
		}
		return w.meta.ExpireAll()
	}
	w = newWorldOn(t, Config{}, memstore.Config{Node: "n1"}, faults)
	a := w.put("/f", noise(100))
	a.is(t, 503, "unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.get("/f").is(t, 404, "not_found")
}

func TestUpload_TakesConstantMemory(t *testing.T) {
	w := newWorld(t, Config{})
	const size = 200 << 20
	var most uint64
	body := &meter{left: size, every: 8 << 20, note: func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		// What the store in memory keeps is the disk's, not ours.
		u, err := w.store.Usage(t.Context())
		if err != nil {
			t.Error(err)
		}
		most = max(most, m.HeapInuse-min(m.HeapInuse, u.UsedBytes))
	}}
	req, err := http.NewRequestWithContext(t.Context(), "PUT", w.url+Prefix+"/f", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 201 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if most > 120<<20 {
		t.Errorf("%d MiB in use", most>>20)
	}
}

// meter is a body of zeros that calls note now and then.
type meter struct {
	left, every, since int
	note               func()
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), m.left)
	clear(p[:n])
	m.left -= n
	if m.since += n; m.since >= m.every {
		m.since = 0
		runtime.GC()
		m.note()
	}
	return n, nil
}
