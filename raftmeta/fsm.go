package raftmeta

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

const (
	groupKeys  = 16 << 10 // changed keys after which a group of entries is written
	groupBytes = 4 << 20  // … or bytes of them
)

// applied is what the FSM answers a log entry: one answer for each command of the batch, or why the node stops.
type applied struct {
	answers []state.Answer
	err     error
}

// fsm applies the log to the state. Raft calls ApplyBatch, Snapshot and Restore from one goroutine.
//
// A failure (a store that fails, an entry that this build does not understand) is for good: nothing is applied after it,
// so that no entry is ever skipped, and fail tells the node to stop.
type fsm struct {
	db       *stateDB
	progress *progress
	faults   fs.Faults
	fail     func(error)
	decided  func(index uint64, cmd command.Command, answer *state.Answer) // after it has been applied
	restored func()                                                        // after the whole state has changed
	trace    *tracing

	failed atomic.Pointer[error]
	handed uint64 // index of the last entry that Raft has handed over, since the start; of Raft's goroutine alone
}

var _ raft.BatchingFSM = (*fsm)(nil)

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM: entries are applied in order and written in groups, cut between entries only.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	for done := 0; done < len(logs); {
		n, err := 0, f.broken()
		if err == nil {
			n, err = f.applyGroup(logs[done:], responses[done:])
		}
		if err != nil {
			for i := done; i < len(logs); i++ {
				responses[i] = &applied{err: err}
			}
			return responses
		}
		done += n
	}
	return responses
}

func (f *fsm) broken() error {
	if err := f.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *fsm) stop(err error) error {
	f.failed.Store(&err)
	f.fail(err)
	return err
}

// applyGroup applies entries until the group is full, writes them, and says how many they were.
func (f *fsm) applyGroup(logs []*raft.Log, responses []any) (int, error) {
	snap, err := f.db.read()
	if err != nil {
		return 0, f.stop(err)
	}
	g := &group{Overlay: state.NewOverlay(snap.reader)}
	defer snap.close()
	n := 0
	for _, l := range logs {
		responses[n] = &applied{}
		n++
		if l.Type != raft.LogCommand || l.Index <= snap.index {
			continue // a configuration, or an entry that the database had applied before the node was restarted
		}
		if responses[n-1], err = f.applyEntry(g, l); err != nil {
			return 0, f.stop(err)
		}
		if g.full() {
			break
		}
	}
	if err := f.write(g); err != nil {
		return 0, f.stop(err)
	}
	for i := range n {
		if l := logs[i]; l.Type == raft.LogCommand && l.Index > snap.index {
			f.tell(l.Index, g.commands[l.Index], responses[i].(*applied))
		}
	}
	f.trace.publish(g.last.index)
	f.handed = logs[n-1].Index
	f.progress.advance(f.handed)
	return n, nil
}

func (f *fsm) applyEntry(g *group, l *raft.Log) (*applied, error) {
	batch, err := command.DecodeBatch(l.Data)
	if err != nil {
		return nil, fmt.Errorf("log entry %d: %w", l.Index, err)
	}
	a := &applied{answers: make([]state.Answer, len(batch))}
	if tooLate(l) {
		for i := range a.answers {
			a.answers[i].Err = fs.CodeUnavailable
		}
		g.add(position{l.Index, l.Term}, nil)
		return a, nil
	}
	cmds := make([]command.Command, len(batch))
	f.trace.begin(l.Index)
	for i, data := range batch {
		if cmds[i], err = command.Decode(data); err != nil {
			return nil, fmt.Errorf("log entry %d: %w", l.Index, err)
		}
		f.trace.before(g, cmds[i])
		if a.answers[i], err = state.Apply(g, l.Index, cmds[i]); err != nil {
			return nil, fmt.Errorf("log entry %d: %w", l.Index, err)
		}
		f.trace.after(&a.answers[i])
	}
	g.add(position{l.Index, l.Term}, cmds)
	return a, nil
}

// tooLate says that a batch got into the log in a later term than the one it was made for; see Node.ProposeIn.
func tooLate(l *raft.Log) bool {
	return len(l.Extensions) > 0 && !bytes.Equal(l.Extensions, be64(l.Term))
}

func (f *fsm) write(g *group) error {
	if g.last.index == 0 {
		return nil
	}
	if err := f.faults.At("apply.before"); err != nil {
		return err
	}
	if err := f.db.write(g.Overlay, g.last); err != nil {
		return err
	}
	return f.faults.At("apply.after")
}

func (f *fsm) tell(index uint64, cmds []command.Command, a *applied) {
	for i, cmd := range cmds {
		f.decided(index, cmd, &a.answers[i])
	}
}

// group is the changes of the entries that are written together.
type group struct {
	*state.Overlay
	bytes    int
	last     position // of the last entry; zero for none
	commands map[uint64][]command.Command
}

func (g *group) Set(key, value []byte) error {
	g.bytes += len(key) + len(value)
	return g.Overlay.Set(key, value)
}

func (g *group) Delete(key []byte) error {
	g.bytes += len(key)
	return g.Overlay.Delete(key)
}

func (g *group) add(at position, cmds []command.Command) {
	if g.commands == nil {
		g.commands = make(map[uint64][]command.Command)
	}
	g.commands[at.index], g.last = cmds, at
}

func (g *group) full() bool { return g.Len() >= groupKeys || g.bytes >= groupBytes }

// Snapshot implements raft.FSM. It refuses while the log is being replayed after a start: the state is ahead of Raft then,
// which would give the snapshot an index lower than that of what is in it.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.broken(); err != nil {
		return nil, err
	}
	snap, err := f.db.read()
	if err != nil {
		return nil, err
	}
	if f.handed < snap.index {
		snap.close()
		return nil, fmt.Errorf("entry %d is applied, but only %d replayed yet: %w", snap.index, f.handed, fs.ErrBusy)
	}
	return &fsmSnapshot{f.db, snap, f.faults}, nil
}

type fsmSnapshot struct {
	db     *stateDB
	snap   *snapshot
	faults fs.Faults
}

// Persist implements raft.FSMSnapshot. After an error Raft throws the snapshot away: damage in this node's state does not
// spread to others, nor over its own restart.
func (s *fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.faults.At("snapshot.persist"); err != nil {
		return err
	}
	reader, seen := s.snap.reader, tally{}
	reader.seen = &seen
	err := writeDump(sink, reader, s.snap.position)
	if err == nil {
		err = s.db.verifyDump(s.snap, seen)
	}
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil // Raft closes the sink, which syncs it
}

// Release implements raft.FSMSnapshot.
func (s *fsmSnapshot) Release() { s.snap.close() }

// Restore implements raft.FSM: it fills a new database from the snapshot and then puts it in the place of the old one. An
// error before that is harmless, one from then on is not.
func (f *fsm) Restore(from io.ReadCloser) error {
	if err := f.broken(); err != nil {
		return err
	}
	next, at, err := f.db.restoreDump(from, f.faults)
	if err != nil {
		return err
	}
	if err := f.db.replace(next); err != nil {
		return f.stop(err)
	}
	f.restored()
	f.trace.feed.Lose(at.index)
	f.handed = at.index
	f.progress.advance(at.index)
	return nil
}
