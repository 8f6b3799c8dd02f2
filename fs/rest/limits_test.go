package rest

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dfs/blob/memstore"
)

func TestToken_OpensTheFront(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("# ours\n\n0123456789abcdef\nfedcba9876543210\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := ReadTokens(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Config{Tokens: tokens})
	if a := w.get("/?list").is(t, 401, "unauthorized"); !strings.HasPrefix(a.Header.Get("Www-Authenticate"), "Bearer ") {
		t.Errorf("challenge %q", a.Header.Get("Www-Authenticate"))
	}
	for _, wrong := range []string{"0123456789abcdeg", "# ours", "", "0123456789abcdef0"} {
		w.get("/?list", "Authorization: Bearer "+wrong).is(t, 401, "unauthorized")
	}
	w.get("/?list", "Authorization: Basic 0123456789abcdef").is(t, 401, "unauthorized")
	for _, right := range []string{"0123456789abcdef", "fedcba9876543210"} {
		w.get("/?list", "Authorization: bearer "+right).is(t, 200, "")
	}
	for _, bad := range []string{"", "short\n", "a token with blanks in it\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTokens(file); err == nil {
			t.Errorf("a file of %q was taken", bad)
		}
	}
}

func TestHostNameOnLoopback_WantsAToken(t *testing.T) {
	w := newWorld(t, Config{})
	w.put("/f", "x").is(t, 201, "")
	for host, status := range map[string]int{"127.0.0.1": 200, "localhost:1": 200, "[::1]:7480": 200, "evil.example": 403, "evil.example:7480": 403} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+Prefix+"/f", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: %d", host, resp.StatusCode)
		}
	}
}

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
