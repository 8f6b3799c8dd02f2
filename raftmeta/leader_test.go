package raftmeta

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/command"
)

func TestLeaderPartition_AcknowledgedWritesSurvive(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	old := c.leader()
	var acked []string
	for i := range 10 {
		name := fmt.Sprint("f", i)
		c.must(old, s.tx(s.create(name)))
		acked = append(acked, name)
	}
	c.setCut(old.cfg.ID, true)
	lost := s.tx(s.create("lost"))
	if _, err := old.Commit(c.ctx(), lost); !errors.Is(err, fs.ErrUnavailable) && !errors.Is(err, fs.ErrNotLeader) {
		t.Errorf("a commit at a leader that is cut off: %v", err)
	}
	n := c.leader()
	for _, name := range acked {
		if _, err := n.Lookup(c.ctx(), fs.RootIno, name); err != nil {
			t.Error(err)
		}
	}
	if r := c.retry(lost); r.Err != fs.CodeOK { // the outcome was open: sent again, it happens once
		t.Errorf("sent again: %v", r.Err)
	}
	c.setCut(old.cfg.ID, false)
	c.converge()
}

// No read may return an old value: every value read is at least the last one whose write was acknowledged before the read
// began, whoever is asked, while leaders are cut off again and again.
func TestReads_AreNeverStale(t *testing.T) {
	for _, noLease := range []bool{false, true} {
		t.Run(fmt.Sprint("noLease=", noLease), func(t *testing.T) {
			c := newCluster(t, 3, func(cfg *Config) { cfg.NoLease = noLease })
			s := c.session()
			file := s.create("f")
			c.must(c.leader(), s.tx(file))
			var acked atomic.Int64 // mtime of the last acknowledged write
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { // the writer goes to whoever leads
				for i := int64(1); ctx.Err() == nil; i++ {
					tx := s.tx(&fs.Setattr{Ino: file.Ino, Set: fs.SetMtime, Mtime: fs.Time(i), Time: 1})
					for decided := false; !decided && ctx.Err() == nil; {
						for _, id := range c.ids() {
							r, err := c.node(id).Commit(ctx, tx)
							if err == nil && r.Err == fs.CodeOK {
								acked.Store(i)
								decided = true
								break
							}
						}
					}
				}
			})
			var reads [3]atomic.Int64
			for i := range 3 { // a reader at every node, which mostly refuses
				wg.Go(func() {
					for ctx.Err() == nil {
						want := acked.Load()
						a, err := c.node(nodeID(i)).Getattr(ctx, file.Ino)
						if err != nil {
							waitFor(ctx, time.Millisecond)
							continue
						}
						reads[i].Add(1)
						if int64(a.Mtime) < want {
							t.Errorf("%s answered with write %d after write %d was acknowledged", nodeID(i), a.Mtime, want)
						}
					}
				})
			}
			for range 4 {
				n := c.leader()
				before := acked.Load()
				c.setCut(n.cfg.ID, true)
				c.eventually("another leader acknowledges writes", func() bool { return acked.Load() > before+20 })
				c.setCut(n.cfg.ID, false)
			}
			stop()
			wg.Wait()
			total := reads[0].Load() + reads[1].Load() + reads[2].Load()
			if total < 100 {
				t.Errorf("only %d reads: this shows nothing", total)
			}
		})
	}
}

// A leader whose main goroutine hangs does not notice that it was deposed: only the proof keeps it from answering out of
// the past.
func TestStalledLeader_DoesNotAnswerFromThePast(t *testing.T) {
	for _, noLease := range []bool{false, true} {
		t.Run(fmt.Sprint("noLease=", noLease), func(t *testing.T) {
			c := newCluster(t, 3, func(cfg *Config) { cfg.NoLease, cfg.Timings.Operation = noLease, time.Second })
			s := c.session()
			old := c.leader()
			stalled, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			c.onStep(old.cfg.ID, "log.write", func() error {
				once.Do(func() { close(stalled) })
				<-release
				return nil
			})
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := old.OpenSession(c.ctx(), fs.Mount{}); err == nil {
					t.Error("a stalled leader has committed")
				}
			})
			<-stalled
			c.setCut(old.cfg.ID, true)
			c.must(c.leader(), s.tx(s.create("new")))
			if !old.IsLeader() {
				t.Fatal("the stalled leader has noticed: this tests nothing")
			}
			if a, err := old.Lookup(c.ctx(), fs.RootIno, "new"); !errors.Is(err, fs.ErrUnavailable) && !errors.Is(err, fs.ErrNotLeader) {
				t.Errorf("the stalled leader answered %+v, %v", a, err)
			}
			if _, err := old.Attach(c.ctx(), s.Session, fs.Held{}); err == nil {
				t.Error("the stalled leader has accepted a stream")
			}
			close(release)
			wg.Wait()
			c.setCut(old.cfg.ID, false)
			c.converge()
		})
	}
}

// A leader that is stopped and continued must not take answers to what it sent before for a proof that it still leads.
func TestContacts_AnswerToAnOldHeartbeatProvesNothingNew(t *testing.T) {
	c := newContacts()
	voters := []raft.ServerID{"a", "b", "c"}
	sent := time.Now().Add(-time.Minute)
	arrival := sent.Add(time.Millisecond)
	c.answered(3, "b", sent, 1)
	if at, _ := c.followed(3, voters, "a"); at.After(arrival) || !at.Equal(sent) {
		t.Errorf("followed at %v after an answer to a heartbeat sent before", at)
	}
	c.answered(3, "x", arrival.Add(time.Second), 1) // a learner
	if at, _ := c.followed(3, voters, "a"); !at.Equal(sent) {
		t.Error("a learner's answer counts")
	}
	if at, _ := c.followed(2, voters, "a"); !at.IsZero() {
		t.Error("an answer in term 3 counts for term 2")
	}
	if !c.leased(3, voters, "a").IsZero() {
		t.Error("one answer makes a lease")
	}
	c.answered(3, "b", arrival, 1)
	if at := c.leased(3, voters, "a"); !at.Equal(sent) {
		t.Errorf("a lease from %v, not from the heartbeat before the last", at)
	}
	c.answered(4, "c", arrival, 1)
	if at, _ := c.followed(4, voters, "a"); !at.Equal(arrival) {
		t.Error("a new term does not begin anew")
	}
	if at := c.leased(4, voters, "a"); !at.IsZero() {
		t.Error("a lease outlives its term")
	}
	if at, _ := c.followed(4, []raft.ServerID{"a"}, "a"); time.Since(at) > time.Minute {
		t.Error("a lone voter does not follow itself")
	}
}

func TestLoneVoterLosesQuorum_CallsEndInTime(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.Timings.Operation = time.Second })
	s := c.session()
	n := c.leader()
	for _, id := range c.ids() {
		if id != n.cfg.ID {
			c.stop(id)
		}
	}
	began := time.Now()
	_, errCommit := n.Commit(c.ctx(), s.tx(s.create("a")))
	_, errRead := n.Getattr(c.ctx(), fs.RootIno)
	_, errPin := n.Pin(c.ctx(), s.Session, fs.RootIno)
	_, errOpen := n.OpenSession(c.ctx(), fs.Mount{})
	_, errStatfs := n.Statfs(c.ctx(), fs.RootIno)
	for i, err := range []error{errCommit, errRead, errPin, errOpen, errStatfs} {
		if !errors.Is(err, fs.ErrUnavailable) && !errors.Is(err, fs.ErrNotLeader) {
			t.Errorf("call %d without a quorum: %v", i, err)
		}
	}
	if d := time.Since(began); d > 8*time.Second {
		t.Errorf("five calls took %v", d)
	}
	st, err := n.Status(c.ctx())
	if err != nil || st.Quorum {
		t.Errorf("status without a quorum: %+v %v", st, err)
	}
	ctx, cancel := context.WithCancel(c.ctx())
	cancel()
	if _, err := n.Getattr(ctx, fs.RootIno); !errors.Is(err, context.Canceled) && !errors.Is(err, fs.ErrNotLeader) {
		t.Errorf("a cancelled read: %v", err)
	}
}

func TestRetriedTransaction_HappensOnceOverLeaderChange(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	old := c.leader()
	tx := s.tx(s.create("a"))
	// The leader dies after the decision and before the answer: the caller does not know.
	c.onStep(old.cfg.ID, "propose.after", func() error { return fmt.Errorf("killed: %w", fs.ErrUnavailable) })
	if _, err := old.Commit(c.ctx(), tx); !errors.Is(err, fs.ErrUnavailable) {
		t.Fatal(err)
	}
	first := decided(t, old, tx.ID)
	c.setCut(old.cfg.ID, true)
	r := c.retry(tx)
	if r.Err != fs.CodeOK || r.Index != first {
		t.Errorf("the retried transaction was decided at %d (%v), at first at %d", r.Index, r.Err, first)
	}
	again, err := c.leader().CommitEncoded(c.ctx(), command.Encode(&command.Tx{Tx: *tx}))
	if err != nil {
		t.Fatal(err)
	}
	if r2, err := command.DecodeResult(again); err != nil || r2.Index != first {
		t.Errorf("sent encoded: %+v %v", r2, err)
	}
	if r, err := c.leader().Abort(c.ctx(), s.Epoch, tx.ID); err != nil || r.Err != fs.CodeOK {
		t.Errorf("an abort after the decision: %+v %v", r, err)
	}
}

// decided is the index at which a node remembers a transaction to have been decided.
func decided(t *testing.T, n *Node, id fs.TxID) uint64 {
	t.Helper()
	var index uint64
	eventually(t, "the transaction is decided", func() bool {
		st, err := n.Transaction(t.Context(), id)
		if err == nil {
			index = st.Index
		}
		return err == nil
	})
	return index
}

func TestCommit_RefusesWhatMustNotEnterTheLog(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.leader()
	s := c.session()
	for name, encoded := range map[string][]byte{
		"rubbish":           {0xff, 0xff},
		"nothing":           nil,
		"another command":   command.Encode(&command.RemoveNode{Node: "n1"}),
		"unknown operation": {1, 1, 1, 1, 1, 1, 0x7f},
	} {
		if _, err := n.CommitEncoded(c.ctx(), encoded); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tx := s.tx(&fs.Setxattr{Ino: fs.RootIno, Name: "user.a", Value: make([]byte, fs.TxBytesMax)})
	if _, err := n.Commit(c.ctx(), tx); !errors.Is(err, fs.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := n.CommitEncoded(c.ctx(), command.Encode(&command.Tx{Tx: *tx})); !errors.Is(err, fs.ErrTooLarge) {
		t.Errorf("too large, encoded: %v", err)
	}
	c.must(n, s.tx(s.create("still-alive")))
}

// Many commands that wait at the same time share log entries.
func TestConcurrentCommits_ArePacked(t *testing.T) {
	c := newCluster(t, 3, nil)
	n := c.leader()
	const clients, each = 40, 15
	sessions := make([]*testSession, clients)
	for i := range sessions {
		sessions[i] = c.session()
	}
	before := n.raft.Load().LastIndex()
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() {
			for k := range each {
				r, err := n.Commit(c.ctx(), s.tx(s.create(fmt.Sprintf("f%d-%d", i, k))))
				if err != nil || r.Err != fs.CodeOK {
					t.Errorf("commit: %+v %v", r, err)
					return
				}
				if r.Results[0].Attr.Ino != s.next-1 {
					t.Errorf("somebody else's answer: inode %d, not %d", r.Results[0].Attr.Ino, s.next-1)
				}
			}
		})
	}
	wg.Wait()
	if entries := n.raft.Load().LastIndex() - before; entries > clients*each/2 {
		t.Errorf("%d commands took %d log entries", clients*each, entries)
	}
	c.converge()
}

func TestPropose_IsBoundToItsTerm(t *testing.T) {
	c := newCluster(t, 3, nil)
	n := c.leader()
	term, leads := n.Leader()
	if !leads || term != n.raft.Load().CurrentTerm() {
		t.Fatalf("leads %v in term %d", leads, term)
	}
	ctx, cancel := n.bound(c.ctx())
	defer cancel()
	if a, err := n.proposer.propose(ctx, command.Encode(&command.OpenSession{}), term); err != nil || a.Err != fs.CodeOK {
		t.Errorf("in its term: %+v %v", a, err)
	}
	if a, err := n.proposer.propose(ctx, command.Encode(&command.OpenSession{}), term-1); err != nil || a.Err != fs.CodeUnavailable {
		t.Errorf("made for an earlier term: %+v %v", a, err)
	}
}
