package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/cmd/internal/config"
)

// unpack reads a bundle.
func unpack(t *testing.T, data []byte) map[string]string {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "dfs-bundle/")] = string(text)
	}
}

func TestBundle_HasWhatCanBeHadAndNoSecret(t *testing.T) {
	dir := t.TempDir()
	conf, log, broken, alias := filepath.Join(dir, "node.yaml"), filepath.Join(dir, "log"), filepath.Join(dir, "broken.yaml"), filepath.Join(dir, "alias.yaml")
	for path, text := range map[string]string{
		conf:   "# hush-1\nlisten: 10.0.0.1\njoin-token: hush-2\nrest: {Api-Key: [hush-3], name: x} # hush-4\n",
		log:    strings.Repeat("a line of the log\n", 1<<17),
		broken: "a: b: hush-5",
		alias:  "x: &a hush-6\ntoken: *a\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("dfs_up_for " + r.URL.Path)) }))
	defer srv.Close()
	a := &admin{Admin: config.Admin{Addr: "127.0.0.1:1", Timeout: 2 * time.Second}} // nobody listens there
	b := &bundle{metrics: []string{strings.TrimPrefix(srv.URL, "http://"), "127.0.0.1:1"}, configs: []string{conf, broken, alias}, logs: []string{log, filepath.Join(dir, "none")}, dir: dir}
	path := filepath.Join(dir, "out.tar.gz")
	if err := a.bundleInto(t.Context(), b, path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, data)
	for name, want := range map[string]string{
		"version.txt": "", "doctor.txt": "no node answers", "machine.json": "OpenFiles", "metrics-0.txt": "dfs_up_for /metrics",
		"config-0.yaml": "listen: 10.0.0.1", "log-0.txt": "a line of the log", "errors.txt": "cluster: ",
	} {
		if text, ok := files[name]; !ok || !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing: %.200s", name, want, text)
		}
	}
	for _, want := range []string{"metrics-1.txt", "config-1.yaml", "config-2.yaml", "log-1.txt"} {
		if !strings.Contains(files["errors.txt"], want) || files[want] != "" {
			t.Errorf("%s is not said to be missing: %s", want, files["errors.txt"])
		}
	}
	for name, text := range files {
		if strings.Contains(text, "hush") {
			t.Errorf("%s gives a secret away: %.300s", name, text)
		}
	}
	if l := files["log-0.txt"]; len(l) > logTailBytes || !strings.HasPrefix(l, "a line") {
		t.Errorf("%d bytes of log that begin with %.20q", len(l), l)
	}
	if err := a.bundleInto(t.Context(), b, path); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, data) {
		t.Errorf("the existing file was changed: %v", err)
	}
}
