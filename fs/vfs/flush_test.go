package vfs

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// gate blocks a step until it is opened.
type gate struct{ reached, open chan struct{} }

// block makes the first call of a step wait at a gate.
func (m *mount) block(step string) gate {
	g := gate{make(chan struct{}), make(chan struct{})}
	m.t.Cleanup(func() { // or a failed test would hang in Close
		select {
		case <-g.open:
		default:
			close(g.open)
		}
	})
	first := make(chan struct{}, 1)
	first <- struct{}{}
	m.sw.hook(step, func() error {
		select {
		case <-first:
			close(g.reached)
			<-g.open
		default:
		}
		return nil
	})
	return g
}

func TestDirtyData_IsFlushedWhenItIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, localmeta.Config{})
		m := w.start(t, Config{FlushAge: time.Second})
		_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o644, rw)
		if err != nil {
			t.Fatal(err)
		}
		h.mustWrite(t, []byte("data"), 0)
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		if h.n.flightsNow() > 0 || !h.n.isUnflushed() {
			t.Fatal("flushed too early")
		}
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if h.n.isUnflushed() {
			t.Fatal("not flushed after 1.4 s")
		}
		h.Release()
		if err := m.Close(ctxT(t)); err != nil {
			t.Fatal(err)
		}
	})
}

func (n *inode) flightsNow() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.flights)
}

func TestFullSegments_LeaveBeforeAnybodyAsks(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{BlobSize: 64 << 10})
	h := m.create("f")
	for i := range 16 {
		h.mustWrite(t, pattern(i, 64<<10), uint64(i)<<16)
	}
	eventually(t, "sixteen full blobs are staged", func() bool { return m.sw.count("stage") == 16 })
}

func TestStages_RunSideBySide(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{BlobSize: 64 << 10})
	release := make(chan struct{})
	m.sw.hook("stage", func() error { <-release; return nil })
	h := m.create("f")
	for i := range 8 {
		h.mustWrite(t, pattern(i, 64<<10), uint64(i)<<16)
	}
	eventually(t, "four stages run at once", func() bool { return m.sw.count("stage") == stagesMax })
	close(release)
	h.mustFlush(t)
}

func TestOlderFlush_NeverOverwritesANewerOne(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{InlineMax: -1})
	h := m.create("f")
	h.mustWrite(t, bytes.Repeat([]byte("old"), 1000), 0)
	g := m.block("stage")
	m.launch(m.dirty.all(), (*segments).takeAll)
	<-g.reached
	h.mustWrite(t, bytes.Repeat([]byte("new"), 1000), 0)
	h.mustBe(t, bytes.Repeat([]byte("new"), 1000))
	flushed := make(chan error, 1)
	go func() { flushed <- h.Fsync(ctxT(t), false) }()
	eventually(t, "the newer one is staged", func() bool { return m.sw.count("stage.answer") == 1 })
	select {
	case err := <-flushed:
		t.Fatalf("the newer flush was decided before the older one: %v", err)
	case <-time.After(20 * time.Millisecond): // long enough for a wrong commit to happen most of the time
	}
	close(g.open)
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	w.mount(t, Config{}).open("f", rw).mustBe(t, bytes.Repeat([]byte("new"), 1000))
}

func TestTruncate_IsNotUndoneByAFlushOnItsWay(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{InlineMax: -1})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 3000), 0)
	g := m.block("flush.decide.before")
	m.launch(m.dirty.all(), (*segments).takeAll)
	<-g.reached
	cut := make(chan error, 1)
	go func() {
		_, err := m.Setattr(ctxT(t), h.Ino(), fs.Setattr{Set: fs.SetSize, Size: 10})
		cut <- err
	}()
	select {
	case err := <-cut:
		t.Fatalf("the truncation overtook the flush: %v", err)
	case <-time.After(20 * time.Millisecond): // long enough for a wrong order to happen most of the time
	}
	close(g.open)
	if err := <-cut; err != nil {
		t.Fatal(err)
	}
	h.mustFlush(t)
	h.mustBe(t, pattern(1, 10))
}

func TestTruncate_KeepsItsInodeFromBeingPacked(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{InlineMax: -1})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 3000), 0)
	g := m.block("op.decide.before")
	cut := make(chan error, 1)
	go func() {
		_, err := m.Setattr(ctxT(t), h.Ino(), fs.Setattr{Set: fs.SetSize, Size: 10})
		cut <- err
	}()
	<-g.reached
	m.launch(m.dirty.all(), (*segments).takeAll)
	if n := h.n.flightsNow(); n != 0 {
		t.Fatalf("%d jobs left while a truncation is at the leader", n)
	}
	close(g.open)
	if err := <-cut; err != nil {
		t.Fatal(err)
	}
	h.mustBe(t, pattern(1, 10))
	h.mustFlush(t)
	w.mount(t, Config{}).open("f", rw).mustBe(t, pattern(1, 10))
}

func TestWriter_WaitsForRoom(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	const dirtyMax = 100_000
	m := w.mount(t, Config{DirtyMax: dirtyMax, BlobSize: 10_000, InlineMax: -1})
	g := m.block("stage")
	h := m.create("f")
	want := pattern(1, 500_000)
	written := make(chan error, 1)
	go func() {
		for off := 0; off < len(want); off += 5000 {
			if _, err := h.Write(ctxT(t), want[off:off+5000], uint64(off)); err != nil {
				written <- err
				return
			}
			if used := m.budget.inUse(); used > dirtyMax {
				written <- errors.New("more is dirty than DirtyMax")
				return
			}
		}
		written <- nil
	}()
	<-g.reached
	select {
	case err := <-written:
		t.Fatalf("the writer did not wait: %v", err)
	case <-time.After(20 * time.Millisecond): // long enough to write everything to memory
	}
	close(g.open)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	h.mustFlush(t)
	h.mustBe(t, want)
	if used := m.budget.inUse(); used != 0 {
		t.Fatalf("%d bytes are still counted", used)
	}
}

func TestGetattr_NeverGoesBackOverAFlush(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	slow := &slowGetattr{started: make(chan struct{}), release: make(chan struct{})}
	w.wrap = func(m fs.Meta) fs.Meta { slow.Meta = m; return slow }
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 100), 0)
	slow.on = true
	size := make(chan uint64, 1)
	go func() {
		a, _, err := m.askAttr(ctxT(t), h.Ino())
		if err != nil {
			t.Error(err)
		}
		size <- m.merge(a).Size
	}()
	<-slow.started // the leader has answered: size 0
	slow.on = false
	h.mustFlush(t)
	close(slow.release)
	if got := <-size; got != 100 {
		t.Fatalf("size %d, want 100", got)
	}
}

func TestSize_NeverGoesBackWhileFlushesLand(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for last := uint64(0); ; {
			select {
			case <-stop:
				return
			default:
			}
			if !h.n.mu.TryLock() { // Lock would sleep through the moment between two critical sections
				continue
			}
			size := h.n.size()
			h.n.mu.Unlock()
			if size < last {
				t.Errorf("size went from %d to %d", last, size)
				return
			}
			last = size
		}
	}()
	for i := range 2000 {
		h.mustWrite(t, []byte("x"), uint64(i))
		h.mustFlush(t)
	}
	close(stop)
	<-stopped
}

// slowGetattr delays an answer on its way back.
type slowGetattr struct {
	fs.Meta
	on               bool
	started, release chan struct{}
}

func (s *slowGetattr) Getattr(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	a, err := s.Meta.Getattr(ctx, ino)
	if s.on {
		close(s.started)
		<-s.release
	}
	return a, err
}

// A node comes and counts; the mount has not heard of it yet, and stages as before.
func TestCommitThatNeedsMoreVotes_IsStagedAnewUntilTheNewsArrives(t *testing.T) {
	first := fs.NodeInfo{ID: "n1", State: fs.NodeAlive}
	second := fs.NodeInfo{ID: "n2", State: fs.NodeAlive}
	w := newWorld(t, localmeta.Config{Replicas: 3, MinReplicas: 2, Nodes: []fs.NodeInfo{first}})
	m := w.mount(t, Config{InlineMax: -1})
	votes := []fs.NodeID{"n1"}
	var mu sync.Mutex
	m.OnNodes(func(_ []fs.NodeInfo, minReplicas int) {
		mu.Lock()
		defer mu.Unlock()
		votes = []fs.NodeID{"n1", "n2"}[:minReplicas]
	})
	m.blobs = voting{m.blobs, func() []fs.NodeID {
		mu.Lock()
		defer mu.Unlock()
		return votes
	}}
	eventually(t, "the first news has arrived", func() bool { return len(m.Nodes()) == 1 })
	h := m.create("f")
	early := pattern(1, 10_000)
	h.mustWrite(t, early, 0)
	h.mustFlush(t) // one vote is enough as yet

	if err := w.meta.Record(second); err != nil {
		t.Fatal(err)
	}
	late := pattern(2, 10_000)
	h.mustWrite(t, late, 10_000)
	before := m.sw.count("stage")
	flushed := make(chan error, 1)
	go func() { flushed <- h.Fsync(ctxT(t), false) }()
	eventually(t, "it is staged anew", func() bool { return m.sw.count("stage") >= before+2 })
	select {
	case err := <-flushed:
		t.Fatalf("acknowledged with one of two votes: %v", err)
	default:
	}
	w.meta.Tell([]fs.NodeInfo{first, second})
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	w.mount(t, Config{}).open("f", rw).mustBe(t, append(early, late...))
}

// voting stages on one store, and says that others have voted too.
type voting struct {
	Blobs
	voters func() []fs.NodeID
}

func (v voting) Stage(ctx context.Context, tx blob.Tx, b *blob.Blob) ([]fs.NodeID, error) {
	voters := v.voters()
	_, err := v.Blobs.Stage(ctx, tx, b)
	return voters, err
}
