package raftmeta

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"dfs/fs"
	"dfs/fs/tables"
	"dfs/raftmeta/state"
)

const dbPrefix = "db-"

// stateDB is the state of a node on disk: a Badger database that is a cache of the log, and the file CURRENT that names
// it. Reads go to snapshots and run beside the one writer, the FSM. A restored snapshot replaces the whole database.
//
// mu guards the fields; it is held for moments only. Reads in progress hold a reference to their database, which is
// closed and removed after the last of them.
type stateDB struct {
	dir       string
	boot      string
	tableSize int64
	logger    *slog.Logger
	fail      func(error) // stops the node; see distrust

	naming sync.Mutex // held while CURRENT is written; taken before mu, if both are
	named  string     // the database in CURRENT; guarded by naming

	retiring sync.WaitGroup // replaced databases that still have readers

	mu   sync.Mutex
	live *database
}

// database is one Badger database. The fields from applied on are guarded by stateDB.mu.
type database struct {
	db      *badger.DB
	name    string
	opened  atomic.Bool // its owner has been told whether it is damaged; see distrust
	damaged atomic.Bool

	applied standing       // of its last commit; the index is its newest readable timestamp
	open    map[uint64]int // snapshots being read, by timestamp
	users   int            // of them, and one for being live
	retired chan struct{}  // closed when users is 0
}

// openStateDB opens the state in dir. fresh says that it begins empty because there was none, or none to be trusted. fail is
// called when the state turns out to be damaged later.
func openStateDB(dir string, c *Config, fail func(error)) (s *stateDB, fresh bool, err error) {
	s = &stateDB{dir: dir, boot: c.bootID, tableSize: c.stateTableSize, logger: c.Logger, fail: fail}
	if s.boot == "" {
		s.boot = bootID()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	cur, err := readCurrent(dir)
	if err != nil {
		return nil, false, err
	}
	if cur != nil && cur.trusted(s.boot) {
		if s.live, err = s.openDB(cur.Name); err != nil {
			s.logger.Warn("the state is damaged and will be rebuilt from the log", "err", err)
		}
	} else if cur != nil {
		s.logger.Info("the state cannot be trusted (the machine went down with it in use, or it is damaged): rebuilding it from the log",
			"phase", cur.Phase)
	}
	if s.live == nil {
		if s.live, err = s.createDB(); err != nil {
			return nil, false, err
		}
		fresh = true
	}
	if err := s.name(s.live, phaseOpen); err != nil {
		return nil, false, errors.Join(err, s.live.db.Close())
	}
	return s, fresh, s.removeOthers(s.live.name)
}

// badgerOptions: values stay in the tree, nothing is synced (the log is the truth), caches are small, blocks are checked
// when they are read. An error that Badger logs is the only sign of some of its failures: the state is not trusted then.
func (s *stateDB) badgerOptions(d *database) badger.Options {
	o := badger.DefaultOptions(filepath.Join(s.dir, d.name))
	o.Logger = badgerLogger{s.logger, func(text string) { s.distrust(d, errors.New(text)) }}
	o.ChecksumVerificationMode = options.OnBlockRead
	o.MemTableSize = s.tableSize
	o.BaseTableSize = min(o.BaseTableSize, s.tableSize)
	o.NumMemtables = 2
	o.ValueThreshold = min(1<<20, s.tableSize*15/100)
	o.ValueLogFileSize = 16 << 20
	o.NumVersionsToKeep = 1 // of those at or below the timestamp of SetDiscardTs; newer ones are kept
	o.Compression = options.None
	o.BlockCacheSize = 0
	o.IndexCacheSize = 0
	o.DetectConflicts = false
	o.MetricsEnabled = false
	o.SyncWrites = false
	return o
}

// openDB opens a database, or makes an empty one. Every table of it is verified first: Badger begins without those that it
// cannot read.
func (s *stateDB) openDB(name string) (*database, error) {
	d := &database{name: name, open: map[uint64]int{}, users: 1, retired: make(chan struct{})}
	if err := tables.Check(filepath.Join(s.dir, name)); err != nil {
		return nil, fmt.Errorf("open the state %s: %w", name, err)
	}
	var err error
	if d.db, err = badger.OpenManaged(s.badgerOptions(d)); err != nil {
		return nil, fmt.Errorf("open the state %s: %w", name, err)
	}
	d.applied, err = readApplied(d.db)
	if d.opened.Store(true); err == nil && d.damaged.Load() {
		err = fs.ErrCorrupt // Badger has said why
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the state %s: %w", name, err), d.db.Close())
	}
	return d, nil
}

func readApplied(db *badger.DB) (standing, error) {
	txn := db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	b, err := getSealed(txn, []byte(keyApplied))
	if err != nil || b == nil {
		return standing{}, err
	}
	return parseStanding(b)
}

// createDB makes an empty database under a name that was not used before.
func (s *stateDB) createDB() (*database, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	next := uint64(1)
	for _, name := range names {
		if n, err := strconv.ParseUint(name[len(dbPrefix):], 10, 64); err == nil {
			next = max(next, n+1)
		}
	}
	return s.openDB(dbPrefix + strconv.FormatUint(next, 10))
}

func (s *stateDB) names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), dbPrefix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (s *stateDB) removeOthers(keep string) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == keep {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
			return fmt.Errorf("remove an old state: %w", err)
		}
	}
	return nil
}

// snapshot is the state at one moment.
type snapshot struct {
	state.View
	reader txnReader
	db     *database
	standing
	close func()
}

// read opens a snapshot of the state as it is now; the caller closes it. It may be used by one goroutine.
func (s *stateDB) read() (*snapshot, error) {
	d, at, err := s.acquire()
	if err != nil {
		return nil, err
	}
	txn := d.db.NewTransactionAt(at.index, false)
	r := txnReader{txn: txn, bad: func(err error) { s.distrust(d, err) }}
	return &snapshot{View: state.NewView(r), reader: r, db: d, standing: at, close: func() {
		txn.Discard()
		s.release(d, at.index)
	}}, nil
}

func (s *stateDB) acquire() (*database, standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.live
	if d == nil {
		return nil, standing{}, fmt.Errorf("the state is closed: %w", fs.ErrClosed)
	}
	d.users++
	d.open[d.applied.index]++
	return d, d.applied, nil
}

func (s *stateDB) release(d *database, ts uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.open[ts]--; d.open[ts] == 0 {
		delete(d.open, ts)
	}
	s.drop(d)
}

// drop gives up one use of d; mu is held.
func (s *stateDB) drop(d *database) {
	if d.users--; d.users == 0 {
		close(d.retired)
	}
}

// applied is the Raft index of the last commit.
func (s *stateDB) applied() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		return 0
	}
	return s.live.applied.index
}

// write commits the changes in o as those of the log up to a position. Only one goroutine writes.
func (s *stateDB) write(o *state.Overlay, at position) error {
	s.mu.Lock()
	d := s.live
	s.mu.Unlock()
	if d == nil {
		return fmt.Errorf("the state is closed: %w", fs.ErrClosed)
	}
	w := s.batch(d, at)
	defer w.discard()
	if err := o.Flush(w); err != nil {
		if errors.Is(err, fs.ErrCorrupt) {
			s.distrust(d, err)
		}
		return fmt.Errorf("write the state: %w", err)
	}
	if err := w.commit(); err != nil {
		return fmt.Errorf("commit the state at index %d: %w", at.index, err)
	}
	if w.torn {
		if err := s.name(d, phaseOpen); err != nil {
			return err
		}
	}
	s.published(d, w.to)
	return nil
}

// batch begins a write at a position. Before it is split into several transactions the database is marked as torn. Only the
// goroutine that writes changes d.applied, so that it may read it without the lock.
func (s *stateDB) batch(d *database, at position) *batchWriter {
	return newBatchWriter(d.db, d.applied, at, func() error { return s.name(d, phaseTorn) })
}

// published makes a position readable and lets go of the versions that nobody can read any more.
func (s *stateDB) published(d *database, at standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.applied = at
	oldest := at.index
	for ts := range d.open {
		oldest = min(oldest, ts)
	}
	d.db.SetDiscardTs(oldest)
}

// replace closes next, which is complete, and makes it the state. It does not wait for the readers of the old one, since
// the thread that it runs on may be what they wait for; the old one goes when the last of them has.
func (s *stateDB) replace(next *database) error {
	if err := next.db.Close(); err != nil {
		return fmt.Errorf("close the restored state: %w", err)
	}
	if err := s.name(next, phaseOpen); err != nil {
		return err
	}
	opened, err := s.openDB(next.name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := s.live
	s.live = opened
	s.drop(old)
	s.mu.Unlock()
	s.retiring.Go(func() { s.retire(old) })
	return nil
}

func (s *stateDB) retire(old *database) {
	<-old.retired
	err := errors.Join(old.db.Close(), os.RemoveAll(filepath.Join(s.dir, old.name)))
	if err != nil {
		s.logger.Warn("the replaced state is left behind until the next start", "name", old.name, "err", err)
	}
}

// close waits for the readers and closes the state in order.
func (s *stateDB) close() error {
	s.mu.Lock()
	d := s.live
	s.live = nil
	if d != nil {
		s.drop(d)
	}
	s.mu.Unlock()
	if d == nil {
		return nil
	}
	<-d.retired
	s.retiring.Wait()
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close the state: %w", err)
	}
	return s.name(d, phaseClosed)
}

// collect frees value log files; see badger.DB.RunValueLogGC. Hardly any value is large enough to go there. A value that is
// not found in the tree is garbage to Badger, so the tables are verified before: also for their own sake, since what a
// damaged block hides is missed by nobody.
func (s *stateDB) collect() error {
	d, at, err := s.acquire()
	if err != nil {
		return nil // closed: nothing to collect
	}
	defer s.release(d, at.index)
	if err := s.verify(d); err != nil {
		return err
	}
	err = d.db.RunValueLogGC(0.5)
	if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
		return nil
	}
	return err
}
