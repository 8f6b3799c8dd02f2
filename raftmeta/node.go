package raftmeta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/changes"
)

// Node is a node's part in the metadata. All its methods may be called from any goroutine.
type Node struct {
	cfg    Config
	logger *slog.Logger
	lock   *os.File // held on the directory while the Node is open

	store     *logStore
	db        *stateDB
	snaps     *raft.FileSnapshotStore
	fsm       *fsm
	progress  *progress
	contacts  *contacts
	transport *tracker
	proposer  *proposer
	decisions *decisions
	changes   *changes.Feed
	identity  *identity

	raft atomic.Pointer[raftHandle] // replaced once, by Bootstrap

	leaderChanges atomic.Uint64

	notify chan bool // from Raft: leadership gained and lost
	leader *leadership

	ctx    context.Context // ends when the Node fails or is closed
	cancel context.CancelFunc
	loops  sync.WaitGroup

	failOnce sync.Once
	failed   chan error // buffered; see Failed

	closeOnce sync.Once
	closeErr  error
	bootMu    sync.Mutex // held while bootstrapping
}

// Open opens a node's directory, or makes it, and starts to take part in its cluster, if it has one. A node without a
// state waits for Bootstrap, or for a leader that has been told about it by Join.
//
// ErrCorrupt: the log or the snapshot is damaged; the message says what to do.
func Open(cfg Config) (*Node, error) {
	opened := time.Now()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	cfg.Logger = cfg.Logger.With("node", cfg.ID)
	n := &Node{cfg: cfg, logger: cfg.Logger, progress: newProgress(), contacts: newContacts(), notify: make(chan bool, 16),
		leader: newLeadership(), failed: make(chan error, 1), decisions: newDecisions(), changes: changes.NewFeed()}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.transport = &tracker{Transport: cfg.Transport, contacts: n.contacts, gate: newGate(cfg.Transport.Consumer(), n.raft.Load),
		canvass: newCanvass(&cfg.Timings), ctx: n.ctx}
	n.transport.gate.hold = cfg.Timings.Heartbeat
	n.transport.gate.met = n.transport.canvass.met
	n.proposer = newProposer(n)
	if err := n.openDir(); err != nil {
		return nil, errors.Join(n.advise(err), n.closeDir(), n.transport.close())
	}
	if err := n.start(opened); err != nil {
		n.cancel()
		n.loops.Wait()
		return nil, errors.Join(n.advise(err), n.closeDir(), n.transport.close())
	}
	return n, nil
}

// advise adds to what is wrong with the directory what can be done about it.
func (n *Node) advise(err error) error {
	if err == nil || !errors.Is(err, fs.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("node %s must not serve from %s: %w; if the rest of the cluster is well, run \"dfs node remove %s\" there, "+
		"delete this node's data directory, and start it under another name; under the same one it could undo what was acknowledged",
		n.cfg.ID, n.cfg.Dir, err, n.cfg.ID)
}

// openDir opens what lies on disk, log first: the state is checked against it.
func (n *Node) openDir() (err error) {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return err
	}
	if n.lock, err = lockDir(n.cfg.Dir); err != nil {
		return err
	}
	if n.identity, err = openIdentity(n.cfg.Dir); err != nil {
		return err
	}
	if n.store, err = openLog(filepath.Join(n.cfg.Dir, "wal"), &n.cfg, n.fail); err != nil {
		return err
	}
	if n.snaps, err = raft.NewFileSnapshotStoreWithLogger(n.cfg.Dir, 2, newHCLogger(n.logger, "snapshots")); err != nil {
		return fmt.Errorf("open the snapshots: %w", err)
	}
	fresh := false
	if n.db, fresh, err = openStateDB(filepath.Join(n.cfg.Dir, "state"), &n.cfg, n.fail); err != nil {
		return err
	}
	if fresh {
		n.logger.Debug("the state begins empty")
	}
	n.fsm = &fsm{db: n.db, progress: n.progress, faults: n.cfg.Faults, fail: n.fail, decided: n.onDecided,
		restored: n.onRestored, trace: newTracing(n.changes, n.logger)}
	n.progress.advance(n.db.applied())
	return nil
}

// lockDir makes sure that no other process uses dir.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another process: %w", dir, fs.ErrBusy), f.Close())
	}
	return f, nil
}

func (n *Node) closeDir() error {
	var errs []error
	if n.db != nil {
		errs = append(errs, n.db.close())
	}
	if n.store != nil {
		errs = append(errs, n.store.close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}

// start starts Raft and the loops.
func (n *Node) start(opened time.Time) error {
	plan, err := n.planRecovery()
	if err != nil {
		return err
	}
	if err := n.prepareLog(plan); err != nil {
		return err
	}
	if plan.hasState && !n.cfg.NoLease {
		// This node may have promised a leader, before it was restarted, not to vote for another one until a heartbeat
		// has been missed; it has forgotten when, so it waits the whole time out. See DESIGN.md, "Leases".
		time.Sleep(time.Until(opened.Add(n.cfg.Timings.Heartbeat)))
	}
	if err := n.startRaft(plan.restore); err != nil {
		return err
	}
	n.loops.Go(func() { n.transport.gate.run(n.ctx) })
	n.learnIdentity()
	n.loops.Go(n.watchLeadership)
	n.loops.Go(n.patience)
	n.loops.Go(n.proposer.run)
	n.loops.Go(n.maintain)
	return nil
}

// fail stops the node for good. It may be called from Raft's goroutines and does not wait.
func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		err = n.advise(err)
		n.logger.Error("the metadata node stops", "err", err)
		n.failed <- err
		n.cancel()
		if r := n.raft.Load(); r != nil {
			r.shutdown() // not waited for: the caller may be one of Raft's goroutines
		}
	})
}

// Failed yields the error for which the node has stopped by itself, once. The process should then end: the node answers
// nothing any more.
func (n *Node) Failed() <-chan error { return n.failed }

// Close gives leadership away, stops, and waits until everything has stopped; each of it for a bounded time.
func (n *Node) Close() error {
	n.closeOnce.Do(func() { n.closeErr = n.close() })
	return n.closeErr
}

func (n *Node) close() error {
	if n.ctx.Err() == nil {
		n.giveAway()
	}
	n.cancel()
	n.changes.Close()
	n.leader.set(nil)
	n.raft.Load().shutdown()
	errTransport := n.transport.close() // before Raft is waited for: it waits for messages under way
	if err := n.stopRaft(); err != nil {
		return errors.Join(err, errTransport) // something of Raft still runs: its files must stay open
	}
	n.loops.Wait()
	return errors.Join(errTransport, n.closeDir())
}

// stopTimeout is how long Raft may take to stop: longer than any message that it waits for.
const stopTimeout = 2 * transportTimeout

// stopRaft waits for Raft's goroutines, but not for ever: one may hang in the disk.
func (n *Node) stopRaft() error {
	done := make(chan error, 1)
	r := n.raft.Load()
	go func() { done <- r.shutdown().Error() }() // ends with Raft, or with the process
	select {
	case err := <-done:
		return err
	case <-time.After(stopTimeout):
		return fmt.Errorf("raft does not stop within %v: %w", stopTimeout, fs.ErrTimeout)
	}
}
