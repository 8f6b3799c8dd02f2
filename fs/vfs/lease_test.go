package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// leased mounts, and waits until leases may be used.
func (w *world) leased(t testing.TB, cfg Config) *mount {
	t.Helper()
	m := w.mount(t, cfg)
	m.awaitLeases()
	return m
}

func (m *mount) awaitLeases() {
	m.t.Helper()
	eventually(m.t, "leases may be used", func() bool { return m.leases.timely() && m.leases.holdsAfterAsking(m, fs.RootIno) })
}

func (l *leases) holdsAfterAsking(m *mount, ino fs.Ino) bool {
	_, err := m.Getattr(ctxT(m.t), ino)
	return err == nil && l.holds(ino, fs.LeaseShared)
}

// asked counts the calls that a mount makes while fn runs.
func (m *mount) asked(fn func(), calls ...string) int {
	n := 0
	for _, c := range calls {
		n -= m.sw.count(c)
	}
	fn()
	for _, c := range calls {
		n += m.sw.count(c)
	}
	return n
}

var reads = []string{"lookup", "getattr", "readdir", "listxattr", "getxattr", "pin", "layout"}

func TestUnderALease_NothingIsAskedAgain(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.leased(t, Config{})
	m.create("f").mustWrite(t, []byte("x"), 0)
	look := func() {
		a, err := m.Lookup(ctxT(t), fs.RootIno, "f")
		if err != nil || a.Size != 1 {
			t.Fatal(a, err)
		}
		if _, err := m.Getattr(ctxT(t), a.Ino); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Lookup(ctxT(t), fs.RootIno, "missing"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if _, err := m.Getxattr(ctxT(t), a.Ino, "user.x"); !errors.Is(err, fs.ErrNoXattr) {
			t.Fatal(err)
		}
		if got := m.names(t); len(got) != 1 || got[0] != "f" {
			t.Fatal(got)
		}
		m.open("f", rw).mustBe(t, []byte("x"))
	}
	look()
	if n := m.asked(look, reads...); n != 0 {
		t.Fatalf("%d calls were made for what is known", n)
	}
}

// names lists the root.
func (m *mount) names(t testing.TB) []string {
	t.Helper()
	d, err := m.OpenDir(ctxT(t), fs.RootIno)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	var list []string
	if err := d.Read(ctxT(t), 0, func(e fs.Dirent) bool { list = append(list, e.Name); return true }); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestOtherMountsChanges_AreSeenAtTheNextCall(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.leased(t, Config{}), w.leased(t, Config{})
	ha := a.create("f")
	ha.mustWrite(t, []byte("one"), 0)
	hb := b.open("f", rw)
	hb.mustBe(t, []byte("one")) // what a has not flushed
	for i := range 20 {
		from, to, in := ha, hb, a
		if i%2 == 1 {
			from, to, in = hb, ha, b
		}
		want := fmt.Appendf(nil, "round %02d", i)
		from.mustWrite(t, want, 0)
		to.mustBe(t, want)

		name := fmt.Sprint("n", i)
		other := a
		if in == a {
			other = b
		}
		if _, err := other.Lookup(ctxT(t), fs.RootIno, name); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if _, err := in.Mkdir(ctxT(t), Caller{}, fs.RootIno, name, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Lookup(ctxT(t), fs.RootIno, name); err != nil {
			t.Fatal("made by the other mount, and not there:", err)
		}
		if got := other.names(t); len(got) != i+2 {
			t.Fatal(i, got)
		}
	}
	if err := a.Rename(ctxT(t), fs.RootIno, "n1", fs.RootIno, "n2", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Lookup(ctxT(t), fs.RootIno, "n1"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := b.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	if at, err := a.Getattr(ctxT(t), ha.Ino()); err != nil || at.Nlink != 0 {
		t.Fatal("removed by the other mount, and known as if not:", at, err)
	}
}

// kernel is a front that remembers all that it may, as far as a test tells it.
type kernel struct {
	mu      sync.Mutex
	dropped map[fs.Ino]int
	names   int
	hold    chan struct{} // not nil: DropAttr and DropPages wait for it
	reached chan struct{}
}

func (k *kernel) DropNames() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.names++
}

func (k *kernel) DropAttr(ino fs.Ino)  { k.drop(ino) }
func (k *kernel) DropPages(ino fs.Ino) { k.drop(ino) }

func (k *kernel) drop(ino fs.Ino) {
	k.mu.Lock()
	hold := k.hold
	k.mu.Unlock()
	if hold != nil {
		k.reached <- struct{}{}
		<-hold
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dropped == nil {
		k.dropped = map[fs.Ino]int{}
	}
	k.dropped[ino]++
}

func TestChange_WaitsUntilTheOthersFrontHasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, localmeta.Config{})
		a, b := w.leased(t, Config{}), w.leased(t, Config{})
		k := &kernel{hold: make(chan struct{}), reached: make(chan struct{}, 9)}
		ino := b.create("f").Ino()
		a.SetKernel(k)
		if _, valid, err := a.GetattrFor(ctxT(t), ino); err != nil || valid == 0 {
			t.Fatal(valid, err)
		}
		end := make(chan error, 1)
		go func() {
			_, err := b.Setattr(ctxT(t), ino, fs.Setattr{Set: fs.SetMode, Mode: 0o600})
			end <- err
		}()
		<-k.reached
		synctest.Wait()
		select {
		case err := <-end:
			t.Fatal("the change was answered while another mount's kernel remembered what was before:", err)
		default:
		}
		close(k.hold)
		if err := <-end; err != nil {
			t.Fatal(err)
		}
		if at, err := a.Getattr(ctxT(t), ino); err != nil || at.Mode != 0o600 {
			t.Fatal(at, err)
		}
	})
}

// A program must not be told by another machine of a change that the mount on its own machine still hides.
func TestOwnChange_IsSeenByNobodyElseBeforeItIsKnownHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, localmeta.Config{})
		a, b := w.leased(t, Config{}), w.leased(t, Config{})
		if _, err := a.Lookup(ctxT(t), fs.RootIno, "f"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		g := a.block("commit.answer")
		end := make(chan error, 1)
		go func() {
			_, err := a.Mkdir(ctxT(t), Caller{}, fs.RootIno, "f", 0o755)
			end <- err
		}()
		<-g.reached // it is applied, and the answer on its way
		seen := make(chan error, 1)
		go func() {
			_, err := b.Lookup(ctxT(t), fs.RootIno, "f")
			if err == nil {
				_, err = a.Lookup(ctxT(t), fs.RootIno, "f")
			}
			seen <- err
		}()
		synctest.Wait()
		close(g.open)
		if err := <-end; err != nil {
			t.Fatal(err)
		}
		if err := <-seen; err != nil {
			t.Fatal("the other mount saw it, and then this one did not:", err)
		}
	})
}

func TestOpenUnderALease_IsPinnedBeforeTheLeaseGoes(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.leased(t, Config{}), w.leased(t, Config{})
	h := b.create("f")
	h.mustWrite(t, []byte("data"), 0)
	h.mustFlush(t)
	h.Release()
	a.open("f", syscall.O_RDONLY).Release()
	var r *Handle
	if n := a.asked(func() { r = a.open("f", syscall.O_RDONLY) }, "pin"); n != 0 {
		t.Fatalf("opening asked %d times", n)
	}
	if err := b.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	if err := w.meta.Reap(); err != nil {
		t.Fatal(err)
	}
	r.mustBe(t, []byte("data"))
}

func TestOwnUnlinkOfAnOpenFile_KeepsIt(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a := w.leased(t, Config{})
	h := a.create("f")
	h.mustWrite(t, []byte("data"), 0)
	h.mustFlush(t)
	h.Release()
	eventually(t, "the pin of the first handle is gone", func() bool { a.pins.many <- struct{}{}; return !a.pins.holds(h.Ino()) })
	r := a.open("f", syscall.O_RDONLY)
	if err := a.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	if err := w.meta.Reap(); err != nil {
		t.Fatal(err)
	}
	r.mustBe(t, []byte("data"))
}

func (p *pins) holds(ino fs.Ino) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[ino] != nil
}

func TestFailover_KeepsLeasesAndTheyAreRecalledByTheNext(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.leased(t, Config{}), w.leased(t, Config{})
	h := a.create("f")
	h.mustWrite(t, []byte("dirty"), 0)
	if err := w.meta.Failover(); err != nil {
		t.Fatal(err)
	}
	b.awaitLeases()
	if !a.leases.holds(h.Ino(), fs.LeaseExclusive) {
		t.Fatal("the lease was lost with the leader")
	}
	b.open("f", rw).mustBe(t, []byte("dirty"))
	if a.leases.holds(h.Ino(), fs.LeaseExclusive) {
		t.Fatal("the next leader does not know of the lease")
	}
}

func TestEndedSession_KnowsNothing(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.leased(t, Config{}), w.leased(t, Config{})
	k := &kernel{}
	a.SetKernel(k)
	ino := b.create("f").Ino()
	if _, valid, err := a.GetattrFor(ctxT(t), ino); err != nil || valid == 0 {
		t.Fatal(valid, err)
	}
	expire(t, w, a)
	if _, err := b.Setattr(ctxT(t), ino, fs.Setattr{Set: fs.SetMode, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the front forgets", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.dropped[ino] > 0 && k.names > 0 })
	if at, err := a.Getattr(ctxT(t), ino); err != nil || at.Mode != 0o600 {
		t.Fatal(at, err)
	}
}

// Two mounts change the same two directories in both orders, and the same file, all the time.
func TestClaims_NeverWaitInACircle(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	mounts := []*mount{w.leased(t, Config{}), w.leased(t, Config{})}
	var dirs [2]fs.Ino
	for i := range dirs {
		a, err := mounts[0].Mkdir(ctxT(t), Caller{}, fs.RootIno, fmt.Sprint("d", i), 0o755)
		if err != nil {
			t.Fatal(err)
		}
		dirs[i] = a.Ino
	}
	shared := mounts[0].create("shared").Ino()
	var group sync.WaitGroup
	for i, m := range mounts {
		for j := range 2 {
			group.Go(func() {
				name := fmt.Sprint("f", i, j)
				if _, err := m.Mkdir(ctxT(t), Caller{}, dirs[j], name, 0o755); err != nil {
					t.Error(err)
					return
				}
				at := j
				for range 50 {
					if err := m.Rename(ctxT(t), dirs[at], name, dirs[1-at], name, 0); err != nil {
						t.Error(err)
						return
					}
					at = 1 - at
					if _, err := m.Setattr(ctxT(t), shared, fs.Setattr{Set: fs.SetMode, Mode: 0o640}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	group.Wait()
}

// Eight writers of two mounts append records of odd lengths to one file.
func TestAppends_OfTwoMountsAreAllThereAndWhole(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	mounts := []*mount{w.leased(t, Config{}), w.leased(t, Config{})}
	mounts[0].create("log")
	const writers, rounds = 4, 25
	var group sync.WaitGroup
	for i, m := range mounts {
		for j := range writers {
			h := m.open("log", syscall.O_WRONLY|syscall.O_APPEND)
			group.Go(func() {
				for k := range rounds {
					line := fmt.Appendf(nil, "%d-%d-%d-%s\n", i, j, k, bytes.Repeat([]byte("x"), 1+(i*7+j*13+k*31)%97))
					if n, err := h.Write(ctxT(t), line, 0); n != len(line) || err != nil {
						t.Error(n, err)
						return
					}
				}
			})
		}
	}
	group.Wait()
	seen := map[string]bool{}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(mounts[1].open("log", rw).content(t), []byte("\n")), []byte("\n")) {
		seen[string(line)] = true
	}
	for i := range mounts {
		for j := range writers {
			for k := range rounds {
				line := fmt.Sprintf("%d-%d-%d-%s", i, j, k, bytes.Repeat([]byte("x"), 1+(i*7+j*13+k*31)%97))
				if !seen[line] {
					t.Fatalf("lost or torn: %s", line)
				}
				delete(seen, line)
			}
		}
	}
	if len(seen) > 0 {
		t.Fatalf("%d lines that nobody wrote", len(seen))
	}
}

// A mount that was stopped may have answered its kernel late.
func TestLapsedLeases_AreTakenBackFromTheFront(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 300})
	m := w.leased(t, Config{})
	k := &kernel{}
	m.SetKernel(k)
	ino := m.create("f").Ino()
	if _, valid, err := m.GetattrFor(ctxT(t), ino); err != nil || valid == 0 || valid > 300*time.Millisecond {
		t.Fatal(valid, err)
	}
	m.sw.set("beat", fs.ErrUnavailable)
	m.sw.set("attach", fs.ErrUnavailable)
	eventually(t, "the front forgets", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.dropped[ino] > 0 && k.names > 0 })
	asked := func() int {
		return m.asked(func() {
			if _, err := m.Getattr(ctxT(t), ino); err != nil {
				t.Fatal(err)
			}
		}, "getattr")
	}
	if asked() == 0 {
		t.Fatal("a lease is used when its time is over")
	}
	m.sw.set("beat", nil)
	m.sw.set("attach", nil)
	eventually(t, "leases are as good as before", func() bool { return asked() == 0 })
}

// No recall tells of a reaping: what only another mount has open is not answered from memory.
func TestOrphan_ThatIsNotOpenHereIsAskedForEachTime(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 300})
	m, other := w.leased(t, Config{}), w.leased(t, Config{})
	here := m.create("f")
	ino := here.Ino()
	h := other.open("f", syscall.O_RDONLY)
	if err := m.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	look := func() {
		t.Helper()
		if a, err := m.Getattr(ctxT(t), ino); err != nil || a.Nlink != 0 {
			t.Fatal(a, err)
		}
	}
	look()
	if n := m.asked(look, reads...); n != 0 {
		t.Errorf("open here, it is asked for %d times", n)
	}
	here.Release()
	if _, valid, err := m.GetattrFor(ctxT(t), ino); err != nil || valid != 0 {
		t.Errorf("the front may believe it for %v, %v", valid, err)
	}
	h.Release()
	eventually(t, "it is reaped", func() bool {
		_, err := m.Getattr(ctxT(t), ino)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// What a truncation cuts is there, or it is not: it is not seen as zeros while the answer is taken in.
func TestReadDuringATruncation_SeesTheOldContentOrTheNew(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.leased(t, Config{})
	h := m.create("f")
	old := pattern(1, 100)
	h.mustWrite(t, old[:60], 0)
	h.mustFlush(t)
	h.mustWrite(t, old[60:], 60)
	h.mustBe(t, old) // so that it is known where it lies
	looked := false
	m.sw.hook("op.decide.after", func() error {
		if looked {
			return nil
		}
		looked = true
		p := make([]byte, 100)
		k, err := h.Read(ctxT(t), p, 0)
		if err != nil || !bytes.Equal(p[:k], old) && !bytes.Equal(p[:k], old[:30]) {
			t.Errorf("%d bytes, %v, %s", k, err, diff(p[:k], old))
		}
		return nil
	})
	truncate(t, m, h, 30)
	if !looked {
		t.Fatal("nobody looked")
	}
	h.mustBe(t, old[:30])
}

// What another mount has done before the truncation is not hidden by it.
func TestStatDuringATruncation_IsOfTheFileAsOthersLeftIt(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.leased(t, Config{}), w.leased(t, Config{})
	h := a.create("f")
	h.mustWrite(t, pattern(1, 10), 0)
	b.open("f", rw).mustWrite(t, pattern(2, 90), 10)
	looked := false
	a.sw.hook("op.decide.before", func() error {
		if at, err := a.Getattr(ctxT(t), h.Ino()); !looked && (err != nil || at.Size != 100) {
			t.Errorf("size %d, %v", at.Size, err)
		}
		looked = true
		return nil
	})
	truncate(t, a, h, 30)
	if !looked {
		t.Fatal("nobody looked")
	}
}

// fsync(2) makes durable what all processes have written, on whatever machine.
func TestFsync_OfAnotherMountsWritesOutlivesThatMount(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.leased(t, Config{}), w.start(t, Config{})
	b.awaitLeases()
	hb := b.create("f")
	hb.mustWrite(t, []byte("data"), 0)
	ha := a.open("f", rw)
	hb.mustWrite(t, []byte("more"), 4)
	ha.mustFlush(t)
	b.abandon()
	if err := w.meta.ExpireAll(); err != nil {
		t.Fatal(err)
	}
	w.dropUndecided(t)
	w.mount(t, Config{}).open("f", syscall.O_RDONLY).mustBe(t, []byte("datamore"))
}
