package vfs

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// A lease is recalled while a write is at work under it. Whatever the order, it goes back after what was written is flushed.
func TestRecall_FlushesWhatWasAtWorkWhenItCame(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.leased(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("old"), 0)
	h.mustFlush(t)
	done, held, err := m.claim(ctxT(t), []fs.Ino{h.Ino()}, nil)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	l := m.leases
	l.mu.Lock()
	l.holder.Recalled(fs.Recall{Ino: h.Ino(), Seq: l.holder.Held(h.Ino()).Seq})
	m.give(l.begin(nil, h.Ino()))
	for range 10_000 { // it gets to where it waits for mu
		runtime.Gosched()
	}
	if _, err := h.n.write(ctxT(t), m.FS, []byte("new"), 0, false, nil); err != nil {
		t.Fatal(err)
	}
	l.mu.Unlock()
	done()
	eventually(t, "the lease goes back", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.holder.Held(h.Ino()).Mode == fs.LeaseNone
	})
	if !m.isClean(h.Ino()) {
		t.Fatal("the lease is gone, and what was written under it is here only")
	}
}

// A program opens a file in the moment in which another one removes it.
func TestOpenDuringTheUnlink_IsPinnedSoon(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 600_000, ReapDelay: time.Hour})
	m := w.leased(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	h.mustFlush(t)
	ino := h.Ino()
	h.Release()
	m.pins.hurry()
	eventually(t, "the pin of the first handle is gone", func() bool { return !m.pins.holds(ino) })
	var r *Handle
	var once sync.Once
	m.sw.hook("op.decide.before", func() error {
		once.Do(func() { r = m.open("f", syscall.O_RDONLY) })
		return nil
	})
	if err := m.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leader is told", func() bool { return !m.pins.isUntold(ino) && m.pins.isHeld(ino) })
	eventually(t, "it knows", func() bool { m.leases.mu.Lock(); defer m.leases.mu.Unlock(); return len(m.leases.sent) == 0 })
	if err := w.meta.Reap(); err != nil {
		t.Fatal(err)
	}
	r.mustBe(t, []byte("data"))
}

// An Attach that fails has told nothing.
func TestPins_StayUntoldWhenAnAttachFails(t *testing.T) {
	p := newPins()
	p.holdUntold(7)
	if got := p.list(); len(got) != 1 {
		t.Fatal(got)
	}
	if !p.isUntold(7) {
		t.Fatal("counted as told by a list that may never arrive")
	}
	p.reattached()
	if p.takeUntold(); p.isUntold(7) {
		t.Fatal("untold after the first beat")
	}
}

// A kernel goes on believing in what it has moved.
func TestRenameWithoutLeases_HasTheFrontForgetNames(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 300})
	m := w.leased(t, Config{})
	m.create("f")
	m.sw.set("beat", fs.ErrUnavailable)
	m.sw.set("attach", fs.ErrUnavailable)
	eventually(t, "leases are over", func() bool { m.leases.mu.Lock(); defer m.leases.mu.Unlock(); return m.leases.over })
	k := &kernel{}
	m.SetKernel(k)
	if err := m.Rename(ctxT(t), fs.RootIno, "f", fs.RootIno, "g", 0); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.names == 0 {
		t.Fatal("the front may believe in the new name as in the old one, and nobody recalls it")
	}
}

// A listing of a huge directory is not kept in memory until its end.
func TestListing_IsGatheredUpToABound(t *testing.T) {
	d := &DirHandle{}
	for d.after = 0; d.after < 200; d.after++ {
		d.ahead = make([]fs.Dirent, listMax)
		d.collect()
		if len(d.all) > namesMax+listMax {
			t.Fatalf("%d entries are gathered", len(d.all))
		}
	}
	if d.all != nil {
		t.Fatalf("%d entries are kept of a listing that is too long", len(d.all))
	}
}

// A writer may have waited for memory until its session was over. Others have written since.
func TestWrite_ThatOutlastsItsSessionTakesNothing(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.leased(t, Config{})
	h := m.create("f")
	r, done, err := h.claim(ctxT(t))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	m.fenced(r)
	h.n.under = r
	if _, err := h.n.write(ctxT(t), m.FS, []byte("late"), 0, false, nil); !errors.Is(err, fs.ErrFenced) {
		t.Fatal(err)
	}
	if !m.isClean(h.Ino()) {
		t.Fatal("something waits to be flushed over what others have written since")
	}
}

// A front may take a second for each file. A session's time-out would soon be over.
func TestPagesOfManyFiles_AreDroppedAtOnce(t *testing.T) {
	k := &kernel{hold: make(chan struct{}), reached: make(chan struct{}, 3)}
	var told []*known
	for ino := fs.Ino(2); ino < 5; ino++ {
		told = append(told, &known{ino: ino, attr: fs.Attr{Ino: ino, Type: fs.TypeRegular, Nlink: 1}})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		dropFrom(k, told, true)
	}()
	eventually(t, "all are being dropped", func() bool { return len(k.reached) == len(told) })
	select {
	case <-done:
		t.Error("it was not waited for")
	default:
	}
	close(k.hold)
	<-done
	for _, one := range told {
		if k.dropped[one.ino] != 1 {
			t.Errorf("inode %d was dropped %d times", one.ino, k.dropped[one.ino])
		}
	}
}
