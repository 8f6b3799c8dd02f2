package vfs

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// A writer that waits for memory goes on when its session is over, for that frees it: what it writes then is under no lease, and
// another mount may know the file already.
func TestWriterThatOutlivesItsSession_IsSeenByOthersWhenItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blob = 4 << 20 // one flies, and there is no room for more
		w := newWorld(t, localmeta.Config{})
		a, b := w.start(t, Config{BlobSize: blob, DirtyMax: blob + blob/8}), w.start(t, Config{})
		a.awaitLeases()
		f, other := a.create("f"), a.create("other")
		f.mustWrite(t, []byte("old"), 0)
		f.mustFlush(t)
		g := a.block("commit") // so that the memory stays full
		other.mustWrite(t, make([]byte, blob), 0)
		now := bytes.Repeat([]byte("n"), 1<<20)
		wrote := make(chan error, 1)
		go func() {
			_, err := f.Write(ctxT(t), now, 0)
			wrote <- err
		}()
		synctest.Wait() // it waits for memory
		expire(t, w, a)
		h := b.open("f", rw)
		h.mustBe(t, []byte("old"))
		close(g.open)
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		h.mustBe(t, now)
		for _, h := range []*Handle{f, other, h} {
			h.Release()
		}
		if err := errors.Join(a.Close(ctxT(t)), b.Close(ctxT(t))); err != nil && !errors.Is(err, fs.ErrFenced) {
			t.Fatal(err)
		}
	})
}

// Whoever finds out that the session is over takes back what the front has been told. Until that is done there is no next session,
// under which the old leases would seem to be good.
func TestNextSession_BeginsWhenTheLastOnesLeasesAreForgotten(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.leased(t, Config{})
	k := &kernel{reached: make(chan struct{}, 9)}
	m.SetKernel(k)
	m.create("f")
	if _, _, err := m.GetattrFor(ctxT(t), fs.RootIno); err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release) // or a failed test would hang in Close
	k.mu.Lock()
	k.hold = held
	k.mu.Unlock()
	// The keeper is between two attempts to attach, and so hears of the end of the session by itself.
	m.sw.set("attach", fs.ErrUnavailable)
	if err := w.meta.Failover(); err != nil {
		t.Fatal(err)
	}
	attached := m.sw.count("attach")
	eventually(t, "the keeper attaches anew", func() bool { return m.sw.count("attach") > attached })
	opened := m.sw.count("opensession")
	go m.fenced(expire(t, w, m))
	<-k.reached
	eventually(t, "a new session is asked for", func() bool { return m.sw.count("opensession") > opened })
	for range 100 {
		if m.sessions.get() != nil {
			t.Fatal("there is a new session, and what the front believes is of the last")
		}
	}
	release()
	eventually(t, "there is a new session", func() bool { return m.sessions.get() != nil })
}
