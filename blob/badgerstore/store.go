package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"golang.org/x/sync/semaphore"

	"dfs/blob"
	"dfs/fs"
	"dfs/fs/tables"
)

// inFlightBytes bounds the values that wait for the writer, and with them the memory they take.
const inFlightBytes = 64 << 20

// Store is one disk. See the package comment; Open makes one.
//
// Goroutines: write (all changes) and reclaimLoop (disk space), both ended by Close. Callers of reading methods hold
// reading shared, so that Close does not unmap what they read.
type Store struct {
	cfg      Config
	db       *badger.DB
	lock     *os.File
	format   format // guarded by formatMu
	formatMu sync.Mutex

	space   space
	counts  counts
	failure *failure
	names   names
	buffers sync.Pool // *[]byte of valueMax
	staging *semaphore.Weighted

	queue      chan *job
	life       context.Context // ended by Close
	end        context.CancelFunc
	written    chan struct{} // closed by the writer when it ends
	idle       chan struct{} // closed by the reclaimer when it ends
	reclaiming chan struct{} // holds one token: whoever has it reclaims

	reading sync.RWMutex
	closed  bool // guarded by reading
	once    sync.Once
	leaked  atomic.Bool // a lock inside Badger is held for ever; see value
}

var _ blob.Store = (*Store)(nil)

// Open opens the store in cfg.Dir, which is made if it is empty, and counts what it holds. What has been voted for is
// there, staged or live, whatever ended the last process.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close() // releases the directory; the error that matters is err
		}
	}()
	s, err := newStore(cfg, lock)
	if err != nil {
		return nil, err
	}
	err = tables.Check(s.space.dir)
	if err == nil {
		s.db, err = badger.Open(s.options())
	}
	if err != nil {
		s.end()
		return nil, fmt.Errorf("open the blobs: %w", s.openError(err))
	}
	if err := s.start(ctx); err != nil {
		s.end()
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// openError says what to make of an error of Badger's at its start: it concerns the system, or the files.
func (s *Store) openError(err error) error {
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return asOurs(err)
	}
	return fmt.Errorf("the disk has damaged them (%w); if the other nodes are well, remove the directory %s and start this node "+
		"again: its blobs are copied back from the others: %w", err, s.cfg.Dir, fs.ErrCorrupt)
}

func newStore(cfg Config, lock *os.File) (*Store, error) {
	f, err := claim(cfg.Dir, cfg.NodeID, cfg.ClusterID)
	if err != nil {
		return nil, err
	}
	total, _, err := statfs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults(total)
	if least := cfg.reserveLeast(); cfg.ReserveBytes < least {
		return nil, fmt.Errorf("a reserve of %d bytes is too little for the disk of %s: Badger needs %d to work in: %w",
			cfg.ReserveBytes, cfg.Dir, least, fs.ErrInvalid)
	}
	checkOpenFiles(cfg, total)
	dir := filepath.Join(cfg.Dir, badgerDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, asOurs(err))
	}
	life, end := context.WithCancel(context.Background())
	return &Store{
		cfg: cfg, lock: lock, format: f,
		space:   space{dir: dir, reserve: cfg.ReserveBytes, max: cfg.MaxBytes},
		failure: newFailure(),
		names:   names{dir: dir},
		buffers: sync.Pool{New: func() any { b := make([]byte, 0, valueMax); return &b }},
		staging: semaphore.NewWeighted(inFlightBytes),
		queue:   make(chan *job, queueLen),
		life:    life, end: end, written: make(chan struct{}), idle: make(chan struct{}),
		reclaiming: make(chan struct{}, 1),
	}, nil
}

// options: small and few memtables, no caches (the tree is small and mapped), no compression (blobs may not compress),
// no conflict detection (there is one writer), every block checked against its checksum when it is read; no compactors,
// and so no stalls that wait for them: the writer compacts (see compact).
func (s *Store) options() badger.Options {
	return badger.DefaultOptions(s.space.dir).
		WithLogger(&watcher{log: s.cfg.Logger, fail: s.failure.set, leak: s.leak}).
		WithSyncWrites(true).
		WithMemTableSize(memTableBytes).WithNumMemtables(2).
		WithValueThreshold(valueThreshold).WithValueLogFileSize(s.cfg.ValueLogFileBytes).
		WithNumCompactors(0).WithNumLevelZeroTables(4).WithNumLevelZeroTablesStall(math.MaxInt).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithDetectConflicts(false).WithMetricsEnabled(false)
}

func (s *Store) start(ctx context.Context) error {
	if err := s.failure.get(); err != nil {
		return fmt.Errorf("open the blobs: %w", s.openError(err))
	}
	if err := s.count(ctx); err != nil {
		return fmt.Errorf("count the blobs in %s: %w", s.cfg.Dir, err)
	}
	if err := s.names.sync(); err != nil {
		return err
	}
	go s.write()
	go s.reclaimLoop()
	return nil
}

// count takes stock of the index.
func (s *Store) count(ctx context.Context) error {
	var t tally
	err := s.scan(ctx, fs.BlobID{}, func(_ fs.BlobID, r record) bool {
		t.blobs++
		t.bytes += int64(r.length)
		if r.staged {
			t.staged++
		}
		return true
	})
	s.counts.apply(t)
	return err
}

// Failed yields one error when the store has failed; every later change is refused with it, and the process had better
// stop. See failure.
func (s *Store) Failed() <-chan error { return s.failure.ch }

// SetCluster notes which cluster the disk belongs to, durably. ErrWrongCluster: it belongs to another one already.
func (s *Store) SetCluster(id string) error {
	s.formatMu.Lock()
	defer s.formatMu.Unlock()
	f, err := s.format.join(s.cfg.Dir, id)
	if err != nil {
		return err
	}
	s.format = f
	return nil
}

// Cluster is the cluster that the disk belongs to; empty when none is known.
func (s *Store) Cluster() string {
	s.formatMu.Lock()
	defer s.formatMu.Unlock()
	return s.format.cluster
}

// Close ends the goroutines, waits for them and for readers, and closes the files. Callers that wait get ErrClosed.
// A store that has failed with a lock of Badger's held cannot be closed; it is left to the end of the process, and
// Close returns why.
func (s *Store) Close() (err error) {
	s.once.Do(func() {
		s.end()
		if s.leaked.Load() {
			err = errors.Join(s.failure.get(), s.lock.Close())
			return
		}
		<-s.idle
		<-s.written
		s.reading.Lock()
		defer s.reading.Unlock()
		s.closed = true
		err = errors.Join(s.db.Close(), s.lock.Close())
	})
	return err
}

// read is how reading methods begin: the store stays open until they call leave.
func (s *Store) read(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.reading.RLock()
	if s.closed {
		s.reading.RUnlock()
		return nil, fs.ErrClosed
	}
	return s.reading.RUnlock, nil
}

// Alive returns when the writer has come to it: a writer that hangs, in the disk or elsewhere, does not, and ctx ends.
func (s *Store) Alive(ctx context.Context) error {
	return s.submit(ctx, &job{alone: func() error { return nil }})
}
