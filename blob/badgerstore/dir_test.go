package badgerstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dfs/fs"
)

// openFails opens the store and expects an error of a kind, whose text says what to do.
func openFails(t *testing.T, cfg Config, want error, says string) {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err == nil {
		closeStore(t, s)
	}
	if !errors.Is(err, want) {
		t.Fatalf("open: %v, want %v", err, want)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("the error does not say %q: %v", says, err)
	}
}

func TestOpen_RefusesADirectoryOfAnotherNode(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	closeStore(t, openStore(t, cfg))
	cfg.NodeID = "n2"
	openFails(t, cfg, fs.ErrInvalid, `belongs to node "n1"`)
}

func TestOpen_RefusesADirectoryOfAnotherCluster(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	closeStore(t, openStore(t, cfg))
	cfg.ClusterID = "c2"
	openFails(t, cfg, fs.ErrWrongCluster, "empty directory")
}

func TestOpen_RefusesADirectoryInUse(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	openStore(t, cfg)
	openFails(t, cfg, fs.ErrBusy, "in use")
}

func TestOpen_RefusesADirectoryWithOtherFiles(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(cfg.Dir, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	openFails(t, cfg, fs.ErrInvalid, "thesis.tex")
}

func TestOpen_RefusesAFormatOfTheFuture(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	closeStore(t, openStore(t, cfg))
	writeFile(t, filepath.Join(cfg.Dir, formatFile), "dfs-blobs 2\nnode n1\ncluster c1\n")
	openFails(t, cfg, fs.ErrNotSupported, "upgrade")
}

func TestOpen_RefusesADamagedFormat(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	closeStore(t, openStore(t, cfg))
	for _, text := range []string{"", "dfs-blobs x\n", "garbage"} {
		writeFile(t, filepath.Join(cfg.Dir, formatFile), text)
		openFails(t, cfg, fs.ErrCorrupt, "rejoin")
	}
}

func TestOpen_RefusesAReserveThatBadgerCannotWorkIn(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.ReserveBytes = mib
	openFails(t, cfg, fs.ErrInvalid, "reserve")
}

func TestOpen_RefusesAReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, 10*mib)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("remount: %v", err)
	}
	openFails(t, testConfig(t, dir), fs.ErrReadOnly, "cannot be written")
}

func TestOpen_GoesOnAfterACrashWhileTheFormatWasWritten(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	writeFile(t, filepath.Join(cfg.Dir, formatTemp), "dfs-bl")
	openStore(t, cfg)
}

func TestConfigValidate_RefusesWhatCannotWork(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"no directory":  func(c *Config) { c.Dir = "" },
		"no node":       func(c *Config) { c.NodeID = "" },
		"tiny files":    func(c *Config) { c.ValueLogFileBytes = 1 },
		"huge files":    func(c *Config) { c.ValueLogFileBytes = 1 << 31 },
		"reclaims spin": func(c *Config) { c.ReclaimEvery = 1 },
	} {
		cfg := testConfig(t, t.TempDir())
		spoil(&cfg)
		if err := cfg.Validate(); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
