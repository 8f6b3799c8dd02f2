package vfs

import (
	"bytes"
	"fmt"
	"testing"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/localmeta"
	"dfs/raftmeta/state"

	"pgregory.net/rapid"
)

// crashSteps are the arrows of the flush protocol and of the calls under it.
func crashSteps() []string {
	return []string{"flush.prepare.before", "stage", "stage.answer", "flush.prepare.after", "flush.decide.before", "commit",
		"commit.answer", "flush.decide.after", "op.decide.before", "op.decide.after"}
}

// crashOn kills the mount at the nth passage of a step: from then on it reaches nobody.
func (m *mount) crashOn(step string, nth int) (crashed func() bool) {
	dead := false
	m.sw.hook(step, func() error {
		m.sw.mu.Lock()
		defer m.sw.mu.Unlock()
		if nth--; nth == 0 {
			m.sw.broken["*"] = fs.ErrUnavailable
			dead = true
		}
		return m.sw.broken["*"]
	})
	return func() bool {
		m.sw.mu.Lock()
		defer m.sw.mu.Unlock()
		return dead
	}
}

// dropUndecided is what the nodes do once the dead mount's session is fenced: staged blobs that the metadata does not
// know go.
func (w *world) dropUndecided(t testing.TB) {
	t.Helper()
	entries, err := w.store.List(ctxT(t), fs.BlobID{}, 4096)
	if err != nil {
		t.Fatal(err)
	}
	w.meta.View(func(v state.View) {
		for _, e := range entries {
			if _, known, err := v.Blob(e.ID); err != nil {
				t.Fatal(err)
			} else if !known {
				if err := w.store.Drop(ctxT(t), []blob.Staged{{ID: e.ID, Tx: e.Tx.ID}}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestCrashAnywhere_LeavesAllOrNothing writes rounds of several files, each round one transaction, and kills the mount
// at some step. What another mount finds then is one whole round: the last acknowledged one or a later one.
func TestCrashAnywhere_LeavesAllOrNothing(t *testing.T) {
	const files = 3
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, localmeta.Config{})
		m := w.start(t, Config{InlineMax: rapid.SampledFrom([]int{-1, 2000, fs.InlineMax}).Draw(rt, "inline")})
		step := rapid.SampledFrom(crashSteps()).Draw(rt, "step")
		sizes := make([]int, files)
		handles := make([]*Handle, files)
		for i := range files {
			sizes[i] = rapid.IntRange(1, 3000).Draw(rt, "size")
			handles[i] = m.create(fmt.Sprint(i))
			handles[i].mustWrite(t, bytes.Repeat([]byte{1}, sizes[i]), 0)
		}
		if err := m.Sync(ctxT(t)); err != nil {
			rt.Fatal(err)
		}
		crashed := m.crashOn(step, rapid.IntRange(1, 6).Draw(rt, "nth"))
		acked, tried := byte(1), byte(1)
		for tried < 6 && !crashed() {
			tried++
			for i, h := range handles {
				h.mustWrite(t, bytes.Repeat([]byte{tried}, sizes[i]), 0)
			}
			if rapid.Bool().Draw(rt, "sync") && m.syncUntil(crashed) {
				acked = tried
			}
		}
		m.abandon()
		if err := w.meta.ExpireAll(); err != nil {
			rt.Fatal(err)
		}
		w.dropUndecided(t)
		survivor := w.start(t, Config{})
		for i := range files {
			got := survivor.open(fmt.Sprint(i), rw).content(t)
			round := got[0]
			if len(got) != sizes[i] || !bytes.Equal(got, bytes.Repeat([]byte{round}, sizes[i])) {
				rt.Fatalf("file %d is torn: %d bytes of %d", i, len(got), sizes[i])
			}
			if round < acked || round > tried {
				rt.Fatalf("file %d is of round %d; acknowledged was %d", i, round, acked)
			}
			if first := survivor.open("0", rw).content(t)[0]; round != first {
				rt.Fatalf("file %d is of round %d, file 0 of round %d", i, round, first)
			}
		}
		if err := survivor.Close(ctxT(t)); err != nil {
			rt.Fatal(err)
		}
		if err := w.meta.Check(); err != nil {
			rt.Fatal(err)
		}
	})
}

// syncUntil syncs; it reports true if that was acknowledged, false if the mount crashed first.
func (m *mount) syncUntil(crashed func() bool) bool {
	acked := make(chan error, 1)
	go func() { acked <- m.Sync(ctxT(m.t)) }()
	for {
		select {
		case err := <-acked:
			return err == nil
		default:
			if crashed() {
				m.abandon()
				return <-acked == nil
			}
		}
	}
}

// TestCrashInOneFile_KeepsWhatFsyncAcknowledged kills the mount in the middle of random writes to one file: every byte
// must be the acknowledged one or one that was written later.
func TestCrashInOneFile_KeepsWhatFsyncAcknowledged(t *testing.T) {
	const size = 20_000
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, localmeta.Config{})
		m := w.start(t, Config{BlobSize: 3000, InlineMax: 500})
		h := m.create("f")
		allowed := make([]map[byte]bool, size) // since the last fsync
		forget := func() {
			for i := range allowed {
				allowed[i] = map[byte]bool{0: true}
			}
		}
		forget()
		now := make([]byte, size)
		crashed := m.crashOn(rapid.SampledFrom(crashSteps()[:8]).Draw(rt, "step"), rapid.IntRange(1, 30).Draw(rt, "nth"))
		for i := 1; i < 200 && !crashed(); i++ {
			off := rapid.IntRange(0, size-1).Draw(rt, "off")
			n := rapid.IntRange(1, size-off).Draw(rt, "len")
			h.mustWrite(t, bytes.Repeat([]byte{byte(i)}, n), uint64(off))
			for k := off; k < off+n; k++ {
				now[k] = byte(i)
				allowed[k][byte(i)] = true
			}
			if rapid.IntRange(0, 5).Draw(rt, "sync") == 0 && m.syncUntil(crashed) {
				for k := range allowed {
					allowed[k] = map[byte]bool{now[k]: true}
				}
			}
		}
		m.abandon()
		if err := w.meta.ExpireAll(); err != nil {
			rt.Fatal(err)
		}
		w.dropUndecided(t)
		survivor := w.start(t, Config{})
		got := make([]byte, size)
		if _, err := survivor.open("f", rw).Read(ctxT(t), got, 0); err != nil {
			rt.Fatal(err)
		}
		for k := range got {
			if !allowed[k][got[k]] {
				rt.Fatalf("byte %d is %d, allowed are %v", k, got[k], allowed[k])
			}
		}
		if err := survivor.Close(ctxT(t)); err != nil {
			rt.Fatal(err)
		}
	})
}
