package rest

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

func TestTokenFile_IsReadAgainWhenItChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	write := func(text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if at := time.Now().Add(-age); os.Chtimes(file, at, at) != nil {
			t.Fatal("cannot set times")
		}
	}
	log := slog.New(slog.DiscardHandler)
	const first, second, third = "0123456789abcdef", "fedcba9876543210", "aaaaaaaaaaaaaaaa"
	write(first, time.Hour)
	tokens, err := ReadTokens(file)
	if err != nil {
		t.Fatal(err)
	}
	opens := func(token string) bool { return has(tokens.current(log), token) }
	later := func() { // as if so much time had gone
		tokens.mu.Lock()
		defer tokens.mu.Unlock()
		tokens.looked = tokens.looked.Add(-2 * lookEvery)
	}
	write(second, time.Minute)
	if !opens(first) || opens(second) {
		t.Error("the file is looked at for every request")
	}
	if later(); opens(first) || !opens(second) {
		t.Error("a token that was taken out opens, or a new one does not")
	}
	write("short", 50*time.Second)
	if later(); !opens(second) {
		t.Error("a file that cannot be used took the tokens away")
	}
	write(second, 0)
	if later(); !opens(second) {
		t.Error("not read")
	}
	write(third, 0) // as long, and maybe within one step of the file's clock
	tokens.mu.Lock()
	tokens.stamp = stampOf(file)
	tokens.looked = time.Now().Add(-lookEvery)
	tokens.mu.Unlock()
	if opens(second) || !opens(third) {
		t.Error("a change that leaves the stamp alone is not seen")
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

func TestReadsForAnotherOrigin_AreRefused(t *testing.T) {
	w := newWorld(t, Config{})
	w.put("/f", "x").is(t, 201, "")
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example"} {
		w.get("/f", header).is(t, 403, "cross_origin")
		w.get("/?list", header).is(t, 403, "cross_origin")
	}
	for _, header := range []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "Origin: " + w.url} {
		a := w.get("/f", header).is(t, 200, "")
		if got := a.Header.Get("Cross-Origin-Resource-Policy"); got != "same-origin" {
			t.Errorf("policy %q", got) // for browsers that do not say who asks
		}
	}
}
