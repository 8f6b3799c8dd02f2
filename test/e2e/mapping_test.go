package e2e

import (
	"encoding/binary"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dfs/test/harness"
)

// counter is a number at an offset of a file, open on a mount and mapped for reading.
type counter struct {
	t       *testing.T
	fd      int
	at      int64
	mapping []byte
}

func openCounter(t *testing.T, path string, at int64) *counter {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) }) // while it is open the mount is busy
	return &counter{t: t, fd: fd, at: at}
}

func (c *counter) mapped() *counter {
	c.t.Helper()
	m, err := unix.Mmap(c.fd, 0, 2*4096, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = unix.Munmap(m) }) // likewise
	c.mapping = m
	return c
}

func (c *counter) set(n uint64) error {
	_, err := unix.Pwrite(c.fd, binary.NativeEndian.AppendUint64(nil, n), c.at)
	return err
}

// load is one look through the mapping, without any system call.
func (c *counter) load() uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&c.mapping[c.at])))
}

// A mapping tells nobody that it is looked at: what it shows must be taken back before a write of another mount returns, also while both
// mounts write the file all the time, so that neither keeps a lease for long. The same goes for writes of its own mount.
func TestMapping_ShowsEveryWriteThatHasReturned(t *testing.T) {
	c := harness.StartCluster(t, 3)
	a, b := c.Mount(), c.Mount()
	t.Run("of another mount", func(t *testing.T) { showsAll(t, a.Path("f"), b.Path("f")) })
	t.Run("of its own mount", func(t *testing.T) { showsAll(t, a.Path("g"), a.Path("g")) })
}

// showsAll looks through a mapping on one mount at what another one writes.
func showsAll(t *testing.T, writer, reader string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	ours := openCounter(t, writer, 0)
	if err := unix.Ftruncate(ours.fd, 2*4096); err != nil { // a mapping ends where its kernel has last seen the file's end
		t.Fatal(err)
	}
	theirs, other := openCounter(t, reader, 0).mapped(), openCounter(t, reader, 4096)
	var written atomic.Uint64
	var over atomic.Bool
	failed := make(chan error, 2)
	count := func(c *counter, done func(uint64)) {
		var err error
		for n := uint64(1); err == nil && !over.Load(); n++ {
			if err = c.set(n); err == nil {
				done(n)
			}
		}
		failed <- err
	}
	go count(ours, written.Store)
	go count(other, func(uint64) {})
	stale, loads, changes, last := 0, 0, 0, uint64(0)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); loads++ {
		least := written.Load()
		switch got := theirs.load(); {
		case got < least:
			if stale++; stale < 4 {
				t.Errorf("the mapping shows %d after the write of %d has returned", got, least)
			}
		case got != last:
			last = got
			changes++
		}
	}
	over.Store(true)
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d loads, %d values seen of %d written, %d stale", loads, changes, written.Load(), stale)
	if changes < 50 {
		t.Errorf("only %d values were seen", changes)
	}
}
