package raftmeta

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"dfs/fs"
)

// mount is a session's stream, of which the notices are read as they come.
type mount struct {
	*testSession
	c       *testCluster
	st      fs.Stream
	mu      sync.Mutex
	recalls []fs.Recall
	term    uint64
	seq     uint64
}

// mount opens a session and attaches it.
func (c *testCluster) mount() *mount {
	c.t.Helper()
	m := &mount{testSession: c.session(), c: c}
	m.attach(fs.Held{})
	return m
}

func (m *mount) attach(held fs.Held) {
	m.c.t.Helper()
	m.c.eventually("the session attaches", func() (ok bool) {
		var err error
		m.st, err = m.c.leader().Attach(m.c.ctx(), m.Session, held)
		return err == nil
	})
	m.beat(fs.Beat{}) // only now the list counts
	st := m.st
	m.c.mounts.Go(func() {
		for {
			n, err := st.Recv()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.term = n.Term
			m.recalls = append(m.recalls, n.Recalls...)
			m.mu.Unlock()
		}
	})
}

// recalled waits for a recall of an inode and returns it.
func (m *mount) recalled(ino fs.Ino) (r fs.Recall) {
	m.c.t.Helper()
	m.c.eventually("the lease is recalled", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		k := slices.IndexFunc(m.recalls, func(r fs.Recall) bool { return r.Ino == ino })
		if k >= 0 {
			r = m.recalls[k]
		}
		return k >= 0
	})
	return r
}

// noticed is the term that the last notice bore.
func (m *mount) noticed() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.term
}

func (m *mount) beat(b fs.Beat) {
	m.c.t.Helper()
	m.seq++
	b.Seq = m.seq
	if err := m.st.Send(b); err != nil {
		m.c.t.Fatal(err)
	}
}

func (m *mount) ack(r fs.Recall) fs.Beat {
	return fs.Beat{Acks: []fs.LeaseAck{{Ino: r.Ino, Seq: r.Seq, Mode: r.To}}}
}

// call is the context of a call that wants leases, and what it gets.
func (m *mount) call(want fs.LeaseMode) (context.Context, *fs.LeaseCall) {
	c := &fs.LeaseCall{Session: m.ID, Epoch: m.Epoch, Want: want}
	return fs.WithLeases(m.c.ctx(), c), c
}

// hold gives the mount a lease on an inode.
func (m *mount) hold(want fs.LeaseMode, ino fs.Ino) fs.Lease {
	m.c.t.Helper()
	n := m.c.leader()
	ctx, call := m.call(want)
	if _, err := n.Getattr(ctx, ino); err != nil || len(call.Got) != 1 || call.Got[0].Mode != want || call.Term == 0 {
		m.c.t.Fatalf("granted %+v, %v", call, err)
	}
	return call.Got[0]
}

// commit commits in the background.
func (m *mount) commit(n *Node, ops ...fs.Op) <-chan error {
	done := make(chan error, 1)
	tx := m.tx(ops...)
	m.c.mounts.Go(func() {
		r, err := n.Commit(m.c.ctx(), tx)
		if err == nil {
			err = fs.FromCode(r.Err)
		}
		done <- err
	})
	return done
}

func isOpen(done <-chan error) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

func chmod(ino fs.Ino, mode uint32) fs.Op {
	return &fs.Setattr{Ino: ino, Set: fs.SetMode, Mode: mode, Time: 9}
}

func TestChange_WaitsForTheAckOfWhoCaches(t *testing.T) {
	c := newCluster(t, 1, nil)
	a, b := c.mount(), c.mount()
	file := a.create("f")
	c.must(c.leader(), a.tx(file))
	b.hold(fs.LeaseShared, file.Ino)
	done := a.commit(c.leader(), chmod(file.Ino, 0o600))
	r := b.recalled(file.Ino)
	if got, err := c.leader().Getattr(c.ctx(), file.Ino); err != nil || got.Mode != 0o644 || !isOpen(done) {
		t.Errorf("before the ack: mode %o, %v, answered %v", got.Mode, err, !isOpen(done))
	}
	b.beat(b.ack(r))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, err := c.leader().Getattr(c.ctx(), file.Ino); err != nil || got.Mode != 0o600 {
		t.Errorf("after it: mode %o, %v", got.Mode, err)
	}
}

func TestChange_WaitsNoLongerThanUntilTheSessionThatDoesNotAnswerHasEnded(t *testing.T) {
	c := shortSessions(t, 1, 500*time.Millisecond, nil)
	b := c.mount()
	a := c.mount()
	file := a.create("f")
	c.must(c.leader(), a.tx(file))
	b.hold(fs.LeaseShared, file.Ino)
	began := time.Now()
	done := a.commit(c.leader(), chmod(file.Ino, 0o600))
	for isOpen(done) && time.Since(began) < 5*time.Second { // both go on beating
		a.beat(fs.Beat{})
		b.seq++
		_ = b.st.Send(fs.Beat{Seq: b.seq}) // until it is over
		waitFor(c.ctx(), 20*time.Millisecond)
	}
	if d := time.Since(began); d < 500*time.Millisecond {
		t.Errorf("the change took %v: the other could use its lease still", d)
	}
	if got, err := c.leader().Getattr(c.ctx(), file.Ino); err != nil || got.Mode != 0o600 {
		t.Errorf("afterwards: mode %o, %v", got.Mode, err)
	}
	if _, err := c.leader().Pin(c.ctx(), b.Session, file.Ino); !errors.Is(err, fs.ErrFenced) {
		t.Errorf("the session lives: %v", err)
	}
}

func TestFreshReign_WaitsForWhatTheSessionsHold(t *testing.T) {
	c := newCluster(t, 3, nil)
	a, b := c.mount(), c.mount()
	file := a.create("f")
	c.must(c.leader(), a.tx(file))
	c.untold.Store(true)
	c.stop(c.leader().cfg.ID)
	n := c.leader()
	short, cancel := context.WithTimeout(c.ctx(), 100*time.Millisecond)
	defer cancel()
	if _, err := n.Getattr(short, file.Ino); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read before anybody has told what he holds: %v", err)
	}
	b.attach(fs.Held{Leases: []fs.Lease{{Ino: file.Ino, Mode: fs.LeaseExclusive}}})
	a.attach(fs.Held{})
	done := a.commit(c.leader(), chmod(file.Ino, 0o600))
	r := b.recalled(file.Ino)
	if !isOpen(done) {
		t.Error("the change did not wait")
	}
	b.beat(b.ack(r))
	if err := <-done; err != nil {
		t.Error(err)
	}
	if term, _ := c.leader().Leader(); b.noticed() != term {
		t.Errorf("notices of term %d, the leader's is %d", b.noticed(), term)
	}
}

// A transaction whose caller has gone may be applied any time: until then nobody may cache what it changes.
func TestChange_OfACallerThatHasGoneIsStillOne(t *testing.T) {
	c := newCluster(t, 1, nil)
	a, b := c.mount(), c.mount()
	file := a.create("f")
	c.must(c.leader(), a.tx(file))
	n := c.leader()
	hit, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.onStep(n.cfg.ID, "apply.before", func() error {
		once.Do(func() {
			close(hit)
			<-release
		})
		return nil
	})
	ctx, cancel := context.WithCancel(c.ctx())
	tx := a.tx(chmod(file.Ino, 0o600))
	gone := make(chan error, 1)
	go func() {
		_, err := n.Commit(ctx, tx)
		gone <- err
	}()
	<-hit
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	r, _ := n.leader.get()
	if got, err := r.sessions.desk.Read(c.ctx(), b.ID, fs.LeaseShared, file.Ino); err != nil || len(got) > 0 {
		t.Errorf("granted %v, %v", got, err)
	}
	close(release)
	c.eventually("what was applied can be cached", func() bool {
		ctx, call := b.call(fs.LeaseShared)
		got, err := n.Getattr(ctx, file.Ino)
		return err == nil && got.Mode == 0o600 && len(call.Got) == 1
	})
}

// What was let through in one reign says nothing in another.
func TestChange_IsNotAppliedInAnotherReignThanItWasLetThroughIn(t *testing.T) {
	c := newCluster(t, 3, nil)
	a := c.mount()
	file := a.create("f")
	c.must(c.leader(), a.tx(file))
	n := c.leader()
	var once sync.Once
	c.onStep(n.cfg.ID, "lease.begun", func() error {
		once.Do(func() {
			for moved := false; !moved || c.leader() != n; {
				l := c.leader()
				l.giveAway()
				moved = moved || c.leader() != n
			}
		})
		return nil
	})
	if _, err := n.Commit(c.ctx(), a.tx(chmod(file.Ino, 0o600))); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("commit: %v", err)
	}
	if got, err := c.leader().Getattr(c.ctx(), file.Ino); err != nil || got.Mode != 0o644 {
		t.Errorf("mode %o, %v", got.Mode, err)
	}
}

func TestBorn_ComeWithTheAnswerThatMadeThemOnly(t *testing.T) {
	c := newCluster(t, 1, nil)
	a, b := c.mount(), c.mount()
	file := a.create("f")
	tx := a.tx(file)
	ctx, call := a.call(fs.LeaseExclusive)
	r, err := c.leader().Commit(ctx, tx)
	if err != nil || r.Err != fs.CodeOK || len(call.Got) != 1 || call.Got[0].Ino != file.Ino || call.Got[0].Mode != fs.LeaseExclusive {
		t.Fatalf("%+v, %v, with %+v", r, err, call)
	}
	a.beat(a.ack(fs.Recall{Ino: file.Ino, Seq: call.Got[0].Seq}))
	c.eventually("it is given back", func() bool { return c.holds(a.ID, file.Ino) == fs.LeaseNone })
	c.must(c.leader(), b.tx(chmod(file.Ino, 0o600)))
	ctx, call = a.call(fs.LeaseExclusive)
	r, err = c.leader().Commit(ctx, tx) // the answer tells what was there then
	if err != nil || r.Err != fs.CodeOK || len(call.Got) > 0 || c.holds(a.ID, file.Ino) != fs.LeaseNone {
		t.Errorf("sent again: %+v, %v, with %+v", r, err, call)
	}
	ctx, call = a.call(fs.LeaseExclusive)
	next := a.create("f")
	r, err = c.leader().Commit(ctx, a.tx(next))
	if err != nil || r.Err != fs.CodeExist || len(call.Got) > 0 || c.holds(a.ID, next.Ino) != fs.LeaseNone {
		t.Errorf("refused: %+v, %v, with %+v", r, err, call)
	}
}

// holds is what the leader thinks that a session holds.
func (c *testCluster) holds(s fs.SessionID, ino fs.Ino) fs.LeaseMode {
	r, _ := c.leader().leader.get()
	n, _ := r.sessions.desk.Counts(s)
	if n == 0 {
		return fs.LeaseNone
	}
	list, err := r.sessions.desk.Read(c.ctx(), s, fs.LeaseShared, ino)
	if err != nil || len(list) == 0 {
		return fs.LeaseNone
	}
	return list[0].Mode
}

// A mount opens under a lease, without asking; when it gives the lease back it has told what it has opened.
func TestPins_OfABeatCountBeforeItsAcks(t *testing.T) {
	c := newCluster(t, 1, nil)
	a, b := c.mount(), c.mount()
	file := a.create("f")
	c.must(c.leader(), a.tx(file))
	b.beat(fs.Beat{})
	b.hold(fs.LeaseShared, file.Ino)
	done := a.commit(c.leader(), &fs.Unlink{Parent: fs.RootIno, Name: "f", Time: 9})
	told := b.ack(b.recalled(file.Ino))
	told.Pins = []fs.Ino{file.Ino}
	b.beat(told)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r, _ := c.leader().leader.get()
	a.beat(fs.Beat{})
	if marked := r.sessions.beginReap([]fs.Ino{file.Ino}); len(marked) > 0 {
		t.Error("what the other has open can be reaped")
	}
	r.sessions.endReap([]fs.Ino{file.Ino})
}

func TestLookup_AnswersWhatTheNameMeansOnceAllAreLetThrough(t *testing.T) {
	c := newCluster(t, 1, nil)
	a, b := c.mount(), c.mount()
	one, two := a.create("one"), a.create("two")
	c.must(c.leader(), a.tx(one, two))
	b.hold(fs.LeaseExclusive, one.Ino)
	n := c.leader()
	ctx, call := a.call(fs.LeaseShared)
	type found struct {
		attr fs.Attr
		err  error
	}
	done := make(chan found, 1)
	c.mounts.Go(func() {
		got, err := n.Lookup(ctx, fs.RootIno, "one")
		done <- found{got, err}
	})
	r := b.recalled(one.Ino) // by the lookup, to shared
	if r.To != fs.LeaseShared {
		t.Errorf("recalled: %+v", r)
	}
	dir := a.ack(fs.Recall{Ino: fs.RootIno, Seq: c.seqOf(a.ID, fs.RootIno)})
	c.mounts.Go(func() { a.beat(dir) }) // what the lookup was granted of the directory is in the way
	// The holder replaces what the name means: it holds the inode exclusively.
	c.must(n, b.tx(&fs.Rename{Parent: fs.RootIno, Name: "two", NewParent: fs.RootIno, NewName: "one", Time: 9}))
	b.beat(b.ack(r))
	got := <-done
	if got.err != nil || got.attr.Ino != two.Ino {
		t.Errorf("found %+v, %v", got.attr, got.err)
	}
	if !slices.ContainsFunc(call.Got, func(l fs.Lease) bool { return l.Ino == two.Ino && l.Mode == fs.LeaseShared }) {
		t.Errorf("with %+v", call.Got)
	}
}

// seqOf is the number of a lease that a session has.
func (c *testCluster) seqOf(s fs.SessionID, ino fs.Ino) uint64 {
	c.t.Helper()
	r, _ := c.leader().leader.get()
	list, err := r.sessions.desk.Read(c.ctx(), s, fs.LeaseShared, ino)
	if err != nil || len(list) != 1 {
		c.t.Fatalf("session %d has %v, %v", s, list, err)
	}
	return list[0].Seq
}

func TestReads_GrantNothingOfWhatIsNotThere(t *testing.T) {
	c := newCluster(t, 1, nil)
	a := c.mount()
	n := c.leader()
	ctx, call := a.call(fs.LeaseExclusive)
	_, errLookup := n.Lookup(ctx, fs.RootIno, "none")
	_, errGetattr := n.Getattr(ctx, 999)
	_, errReaddir := n.Readdir(ctx, 999, 0, 10)
	for _, err := range []error{errLookup, errGetattr, errReaddir} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	r, _ := n.leader.get()
	if leases, _ := r.sessions.desk.Counts(a.ID); leases > 0 || len(call.Got) > 0 {
		t.Errorf("%d leases, %v", leases, call.Got)
	}
}

func TestReaddir_ComesWithLeasesOnAllThatItLists(t *testing.T) {
	c := newCluster(t, 1, nil)
	a, b := c.mount(), c.mount()
	one, two := a.create("one"), a.create("two")
	c.must(c.leader(), a.tx(one, two))
	b.hold(fs.LeaseShared, two.Ino)
	ctx, call := a.call(fs.LeaseExclusive)
	list, err := c.leader().Readdir(ctx, fs.RootIno, 0, 10)
	if err != nil || len(list.Entries) != 2 {
		t.Fatal(list, err)
	}
	modes := map[fs.Ino]fs.LeaseMode{}
	for _, l := range call.Got {
		modes[l.Ino] = l.Mode
	}
	if len(modes) != 3 || modes[fs.RootIno] != fs.LeaseExclusive || modes[one.Ino] != fs.LeaseExclusive || modes[two.Ino] != fs.LeaseShared {
		t.Errorf("granted %v", modes)
	}
}

func TestLeases_AreForLiveSessionsAndTheirOwners(t *testing.T) {
	c := newCluster(t, 1, nil)
	a := c.mount()
	n := c.leader()
	bob := fs.Owner{Name: "bob", Role: "client"}
	ctx, _ := a.call(fs.LeaseShared)
	if err := n.CloseSession(c.ctx(), a.Session); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Getattr(ctx, fs.RootIno); !errors.Is(err, fs.ErrFenced) {
		t.Errorf("under a session that has ended: %v", err)
	}
	s, err := n.OpenSession(fs.WithCaller(c.ctx(), fs.Caller{Owner: bob}), fs.Mount{})
	if err != nil {
		t.Fatal(err)
	}
	call := &fs.LeaseCall{Session: s.ID, Epoch: s.Epoch, Want: fs.LeaseShared}
	ctx = fs.WithCaller(fs.WithLeases(c.ctx(), call), fs.Caller{Owner: fs.Owner{Name: "eve", Role: "client"}})
	if _, err := n.Getattr(ctx, fs.RootIno); !errors.Is(err, fs.ErrPermission) || len(call.Got) > 0 {
		t.Errorf("under somebody else's session: %v, with %v", err, call.Got)
	}
}

// The mount goes by the answers that it had when a recall came; the leader counts from when it sent the recall.
func TestStream_BearsRecallsBeforeAnswersThatCameLater(t *testing.T) {
	st := &stream{t: &sessionTable{r: &reign{term: 5}}, signal: make(chan struct{}, 1), done: make(chan struct{})}
	st.recall([]fs.Recall{{Ino: 1, Seq: 2}})
	st.ack = 9
	first, _ := st.take()
	second, ok := st.take()
	if len(first.Recalls) != 1 || first.Ack != 0 || first.Term != 5 || !ok || second.Ack != 9 || second.Term != 5 {
		t.Errorf("first %+v, then %+v", first, second)
	}
	st.recall(make([]fs.Recall, recallsMax+1))
	first, _ = st.take()
	second, _ = st.take()
	if len(first.Recalls) != recallsMax || len(second.Recalls) != 1 {
		t.Errorf("%d recalls, then %d", len(first.Recalls), len(second.Recalls))
	}
}
