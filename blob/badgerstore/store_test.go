package badgerstore

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dfs/blob"
	"dfs/blob/blobtest"
	"dfs/fs"
)

// testConfig is a small store that reclaims only when told to.
func testConfig(t *testing.T, dir string) Config {
	return Config{
		Dir: dir, NodeID: "n1", ClusterID: "c1", ReserveBytes: 64 << 20, ValueLogFileBytes: 16 << 20,
		ReclaimEvery: time.Hour, Logger: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

func openStore(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestBadgerstore_PassesTheSuite(t *testing.T) {
	blobtest.Run(t,
		func(t *testing.T) blob.Store { return openStore(t, testConfig(t, t.TempDir())) },
		blobtest.WithCapacity(func(t *testing.T, bytes uint64) blob.Store {
			cfg := testConfig(t, t.TempDir())
			cfg.MaxBytes = bytes
			return openStore(t, cfg)
		}),
		blobtest.WithFence(func(t *testing.T, fence func(fs.Epoch, fs.SessionID) bool) blob.Store {
			cfg := testConfig(t, t.TempDir())
			cfg.Fence = fence
			return openStore(t, cfg)
		}),
		blobtest.WithDamage(func(t *testing.T) (blob.Store, func(*testing.T, fs.BlobID, uint32)) {
			dir := t.TempDir()
			return openStore(t, testConfig(t, dir)), func(t *testing.T, id fs.BlobID, off uint32) { damage(t, dir, id, off) }
		}),
		blobtest.WithReopen(func(t *testing.T) (blob.Store, func(*testing.T) blob.Store) {
			cfg := testConfig(t, t.TempDir())
			s := openStore(t, cfg)
			return s, func(t *testing.T) blob.Store {
				closeStore(t, s)
				s = openStore(t, cfg)
				return s
			}
		}),
	)
}

// damage flips a bit in the newest copy of a blob in the value-log files, as a bad disk would. Badger's shared
// mappings see it at once.
func damage(t *testing.T, dir string, id fs.BlobID, off uint32) {
	t.Helper()
	damageAt(t, dir, id, int(off))
}

// damageAt is damage at a place that may lie in front of the bytes: in our header, or in Badger's.
func damageAt(t *testing.T, dir string, id fs.BlobID, off int) {
	t.Helper()
	header := append([]byte(valueMagic), 1, 0)
	files, err := filepath.Glob(filepath.Join(dir, badgerDir, "*.vlog"))
	if err != nil {
		t.Fatal(err)
	}
	for i := len(files) - 1; i >= 0; i-- {
		data, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		for end := len(data); ; {
			at := bytes.LastIndex(data[:end], header)
			if at < 0 {
				break
			}
			end = at
			chunks := int(data[at+28]) | int(data[at+29])<<8
			if !namesBlob(data[at:], id) {
				continue
			}
			pos := at + headerLen(chunks) + off
			flip(t, files[i], int64(pos), data[pos])
			return
		}
	}
	t.Fatalf("blob %s lies in none of %d value-log files", id, len(files))
}

func flip(t *testing.T, path string, at int64, old byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{old ^ 4}, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// namesBlob reports whether a value's header is that of id.
func namesBlob(header []byte, id fs.BlobID) bool {
	want := appendValue(nil, blob.New(id, []byte{0}))
	return len(header) >= 24 && bytes.Equal(header[8:24], want[8:24])
}

func TestSetCluster_IsKeptAndRefusesAnother(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.ClusterID = ""
	s := openStore(t, cfg)
	if err := s.SetCluster("c1"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetCluster("c2"); !errors.Is(err, fs.ErrWrongCluster) {
		t.Fatalf("another cluster: %v", err)
	}
	closeStore(t, s)
	if s = openStore(t, cfg); s.Cluster() != "c1" {
		t.Fatalf("cluster %q after reopening", s.Cluster())
	}
}
