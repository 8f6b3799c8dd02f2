package raftmeta

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"dfs/fs"
)

// logStore is the Raft log and stable store of a node: raft-wal, with every entry and value sealed by a checksum that is
// verified whenever it is read back, and the entries last written kept in memory.
//
// It fails for good: after the first error every write is refused. Errors that hashicorp/raft would meet with a panic
// (a committed entry that cannot be read, a term that cannot be stored) end the calling goroutine instead, once the
// store is armed: fail has told the node, which then shuts Raft down.
type logStore struct {
	wal   *wal.WAL
	mark  *mark
	cache *logCache
	fail  func(error) // tells the node; called once
	armed atomic.Bool // Raft's own goroutines are the callers from now on

	failOnce sync.Once
	failed   atomic.Bool

	first   func() error // called once, when something has been written and nothing acknowledged yet; nil: nothing is done
	faults  fs.Faults
	synced  func(time.Duration) // see Observer
	opened  time.Time
	storing atomic.Int64 // when the writing of entries at hand began, nanoseconds since opened; 0 for none
	setting atomic.Int64 // likewise of a stable value
	written atomic.Int64 // bytes of entries that were there at the start, or stored since
}

var (
	_ raft.LogStore          = (*logStore)(nil)
	_ raft.StableStore       = (*logStore)(nil)
	_ raft.MonotonicLogStore = (*logStore)(nil)
)

// openLog opens the log in dir and verifies all of it.
func openLog(dir string, c *Config, fail func(error)) (*logStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	m, marked, err := openMark(filepath.Join(dir, "mark"))
	if err != nil {
		return nil, err
	}
	size := c.segmentSize
	if size == 0 {
		size = wal.DefaultSegmentSize
	}
	w, err := wal.Open(dir, wal.WithLogger(newHCLogger(c.Logger, "wal")), wal.WithSegmentSize(size))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the log: %w: %w", err, fs.ErrCorrupt), m.close())
	}
	l := &logStore{wal: w, mark: m, cache: newLogCache(logCacheBytes), fail: fail, faults: c.Faults,
		synced: c.Observer.synced, opened: time.Now()}
	if err := l.verify(marked); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// verify reads every entry once, so that Raft meets no bad one while it starts.
func (l *logStore) verify(marked uint64) error {
	first, err := l.wal.FirstIndex()
	if err != nil {
		return err
	}
	last, err := l.wal.LastIndex()
	if err != nil {
		return err
	}
	if last < marked {
		return fmt.Errorf("the log ends at entry %d, but entry %d has been written: its tail is lost or damaged: %w",
			last, marked, fs.ErrCorrupt)
	}
	for i := max(first, 1); i <= last; i++ {
		var entry raft.Log
		if err := l.read(i, &entry); err != nil {
			return err
		}
		l.written.Add(int64(len(entry.Data)))
	}
	for _, key := range stableKeys() {
		if _, err := l.get([]byte(key)); err != nil {
			return err
		}
	}
	return l.mark.write(last)
}

// stableKeys are the keys that hashicorp/raft uses.
func stableKeys() []string { return []string{"CurrentTerm", "LastVoteTerm", "LastVoteCand"} }

// broken records a failure. It does not return to Raft where Raft would panic.
func (l *logStore) broken(err error, fatal bool) error {
	l.failed.Store(true)
	l.failOnce.Do(func() { l.fail(err) })
	if fatal && l.armed.Load() {
		runtime.Goexit()
	}
	return err
}

// IsMonotonic tells Raft that the log may have no gaps.
func (l *logStore) IsMonotonic() bool { return true }

// FirstIndex implements raft.LogStore.
func (l *logStore) FirstIndex() (uint64, error) { return l.wal.FirstIndex() }

// LastIndex implements raft.LogStore.
func (l *logStore) LastIndex() (uint64, error) { return l.wal.LastIndex() }

// GetLog implements raft.LogStore. An absent entry is raft.ErrLogNotFound; a bad one stops the node.
func (l *logStore) GetLog(index uint64, entry *raft.Log) error {
	if l.cache.get(index, entry) {
		return nil
	}
	err := l.read(index, entry)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, wal.ErrClosed) {
		return err
	}
	return l.broken(err, true)
}

func (l *logStore) read(index uint64, entry *raft.Log) error {
	if err := l.within(index); err != nil { // asked first: raft-wal still reads what was cut off within a segment
		return err
	}
	err := l.decode(index, entry)
	if err == nil {
		err = l.faults.At("log.read")
	}
	if err == nil {
		return unsealLog(index, entry)
	}
	if gone := l.within(index); gone != nil { // cut off, or closed, meanwhile
		return gone
	}
	return fmt.Errorf("read log entry %d: %w: %w", index, err, fs.ErrCorrupt)
}

// decode reads an entry from the log, whose decoder panics on some damaged frames.
func (l *logStore) decode(index uint64, entry *raft.Log) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode: %v", p)
		}
	}()
	return l.wal.GetLog(index, entry)
}

// within returns raft.ErrLogNotFound unless the log has an entry at index.
func (l *logStore) within(index uint64) error {
	first, err := l.wal.FirstIndex()
	if err != nil {
		return err
	}
	last, err := l.wal.LastIndex()
	if err != nil {
		return err
	}
	if index < first || index > last {
		return raft.ErrLogNotFound
	}
	return nil
}

// StoreLog implements raft.LogStore.
func (l *logStore) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore: when it returns nil the entries are synced.
func (l *logStore) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	sealed := make([]*raft.Log, len(entries))
	size := 0
	for i, e := range entries {
		sealed[i] = sealLog(e)
		size += len(e.Data)
	}
	began := time.Now()
	err := l.write(&l.storing, func() error {
		if err := l.wal.StoreLogs(sealed); err != nil {
			return fmt.Errorf("write to the log: %w", err)
		}
		return l.mark.write(entries[len(entries)-1].Index)
	})
	if err != nil {
		return err
	}
	l.synced(time.Since(began))
	l.written.Add(int64(size))
	l.cache.put(entries)
	return nil
}

// DeleteRange implements raft.LogStore.
func (l *logStore) DeleteRange(from, to uint64) error {
	l.cache.drop(from, to)
	first, err := l.wal.FirstIndex()
	if err != nil {
		return err
	}
	last, err := l.wal.LastIndex()
	if err != nil {
		return err
	}
	return l.write(&l.storing, func() error {
		if to >= last {
			left := uint64(0)
			if from > first {
				left = min(from-1, last)
			}
			if err := l.mark.writeSync(left); err != nil {
				return err
			}
		}
		if err := l.wal.DeleteRange(from, to); err != nil {
			return fmt.Errorf("cut the log: %w", err)
		}
		return nil
	})
}

// Set implements raft.StableStore.
func (l *logStore) Set(key, value []byte) error {
	err := l.write(&l.setting, func() error { return l.wal.Set(key, sealValue(key, value)) })
	if err != nil && l.failed.Load() && l.armed.Load() {
		runtime.Goexit()
	}
	return err
}

// Get implements raft.StableStore; an absent value is empty.
func (l *logStore) Get(key []byte) ([]byte, error) {
	value, err := l.get(key)
	if err != nil && !errors.Is(err, wal.ErrClosed) {
		return nil, l.broken(err, false)
	}
	return value, err
}

func (l *logStore) get(key []byte) ([]byte, error) {
	sealed, err := l.wal.Get(key)
	if err != nil || len(sealed) == 0 {
		return nil, err
	}
	return unsealValue(key, sealed)
}

// SetUint64 implements raft.StableStore.
func (l *logStore) SetUint64(key []byte, value uint64) error { return l.Set(key, be64(value)) }

// GetUint64 implements raft.StableStore; an absent value is 0.
func (l *logStore) GetUint64(key []byte) (uint64, error) {
	value, err := l.Get(key)
	if err != nil || len(value) == 0 {
		return 0, err
	}
	return parseBE64(value)
}

// write runs one write to the disk, timed for the watchdog; its failure is for good.
func (l *logStore) write(since *atomic.Int64, fn func() error) error {
	if l.failed.Load() {
		return fmt.Errorf("the log has failed: %w", fs.ErrClosed)
	}
	since.Store(int64(time.Since(l.opened)))
	err := l.faults.At("log.write")
	if err == nil {
		err = fn()
	}
	if err == nil && l.first != nil {
		err = l.first()
	}
	since.Store(0)
	if err != nil && !errors.Is(err, wal.ErrClosed) {
		return l.broken(err, false)
	}
	return err
}

// hung is for how long the write at hand has been going on.
func (l *logStore) hung() time.Duration {
	longest := time.Duration(0)
	for _, since := range []*atomic.Int64{&l.storing, &l.setting} {
		if at := since.Load(); at != 0 {
			longest = max(longest, time.Since(l.opened)-time.Duration(at))
		}
	}
	return longest
}

func (l *logStore) close() error { return errors.Join(l.wal.Close(), l.mark.close()) }
