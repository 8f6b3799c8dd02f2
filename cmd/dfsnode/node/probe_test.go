package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestProbe_WritesToEveryDirectoryThatMayBeADisk(t *testing.T) {
	n, _ := tlsNode(t, false)
	for range 2 { // a second one overwrites the first
		if err := n.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"", blobsName, metaName} {
		info, err := os.Stat(filepath.Join(n.dir.path, dir, probeName))
		if err != nil || info.Size() == 0 || time.Since(info.ModTime()) > time.Minute {
			t.Errorf("%q: %+v, %v", dir, info, err)
		}
	}
}

func TestFullDisk_IsAlive(t *testing.T) {
	n, _ := tlsNode(t, false)
	if err := os.Symlink("/dev/full", filepath.Join(n.dir.sub(blobsName), probeName)); err != nil {
		t.Fatal(err)
	}
	if err := n.Probe(t.Context()); err != nil {
		t.Errorf("a node with a full disk would be restarted: %v", err)
	}
	for _, full := range []error{unix.ENOSPC, unix.EDQUOT} {
		n.deps.Faults = func(string) error { return full }
		if err := n.Probe(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestDiskThatFails_EndsTheNode(t *testing.T) {
	n, _ := tlsNode(t, false)
	n.deps.Faults = func(string) error { return unix.EIO }
	if err := n.Probe(t.Context()); !errors.Is(err, unix.EIO) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := n.watchParts(ctx); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), n.dir.path) {
		t.Errorf("the node ends with %v", err)
	}
}

func TestHangingWriterOfTheBlobStore_IsNoLife(t *testing.T) {
	n, _ := tlsNode(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Probe(ctx); err == nil || !strings.Contains(err.Error(), "blob store") {
		t.Errorf("got %v", err)
	}
}

func TestDescription_SaysWhereTheNodeBelongs(t *testing.T) {
	n, _ := tlsNode(t, false)
	if got := n.Describe(t.Context()); !strings.Contains(got, "no cluster yet") {
		t.Errorf("got %q", got)
	}
}
