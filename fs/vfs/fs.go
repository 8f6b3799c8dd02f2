package vfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"dfs/fs"
)

// Limits of what runs side by side.
const (
	stagesMax  = 4
	fetchesMax = 16
)

// FS is one mount. Its methods may be called from any goroutine.
type FS struct {
	cfg   Config
	meta  fs.Meta
	blobs Blobs
	log   *slog.Logger

	sessions *registrar
	pins     *pins
	table    *table
	leases   *leases
	dirty    *dirtySet
	budget   *budget
	chunks   *chunks
	nodes    nodes
	doubts   *doubts
	losses   losses
	accesses *accesses
	locks    *locks

	lastHeard atomic.Pointer[time.Time] // see Silence
	root      atomic.Uint64             // see Root
	session   atomic.Uint64             // the id of the latest one
	bound     atomic.Bool               // the session may only read
	roomTurn  atomic.Uint64             // room granted in an earlier turn counts no more

	asks    *semaphore.Weighted // for room: one each, or all of them by who returns all room
	inoTurn chan struct{}       // held by who asks for a range of inode numbers

	packMu  sync.Mutex    // see DESIGN.md, invariant 2
	stages  chan struct{} // a token for each Stage under way
	fetches chan struct{} // and for each Get

	life   context.Context // ends when Close gives up what is left
	cancel context.CancelFunc
	tasks  tasks
	closed sync.Once
	result error // of Close
}

// New opens a session and starts the loops that keep it. ctx bounds the opening only.
func New(ctx context.Context, cfg Config, meta fs.Meta, blobs Blobs) (*FS, error) {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("vfs: %w", err)
	}
	f := &FS{
		cfg: cfg, meta: meta, blobs: blobs, log: cfg.Logger,
		pins: newPins(), table: newTable(), leases: newLeases(cfg.Boottime, cfg.LeasesMax), dirty: newDirtySet(), budget: newBudget(cfg.DirtyMax), doubts: newDoubts(),
		accesses: newAccesses(), locks: newLocks(), asks: semaphore.NewWeighted(asksMax),
		inoTurn: make(chan struct{}, 1), stages: make(chan struct{}, stagesMax), fetches: make(chan struct{}, fetchesMax),
	}
	f.life, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.chunks = newChunks(cfg.CacheSize, f.fetch)
	r, err := f.open(ctx)
	if err != nil {
		f.cancel()
		return nil, err
	}
	f.sessions = newRegistrar(r)
	f.heard()
	for _, loop := range []func(context.Context){f.keep, f.flushLoop, f.accessLoop, f.resolveDoubts, f.watchLapse} {
		f.spawn(func() { loop(f.life) })
	}
	return f, nil
}

// Close flushes everything, ends the session and waits for all that runs. When ctx ends first, or something cannot be
// flushed, that is lost and the error says so. Calls that come later get fs.ErrClosed.
func (f *FS) Close(ctx context.Context) error {
	f.closed.Do(func() { f.result = f.close(ctx) })
	return f.result
}

func (f *FS) close(ctx context.Context) error {
	err := f.flushAll(ctx)
	f.tellLastAccesses(ctx)
	f.tasks.stop()
	lost := f.budget.inUse()
	f.cancel()
	f.tasks.wait()
	f.loseLeases()
	if lost > 0 {
		err = errors.Join(err, fmt.Errorf("close: about %d bytes could not be flushed and are lost: %w", lost, fs.ErrUnavailable))
	}
	r := f.sessions.get()
	if r == nil {
		return err
	}
	// The session is worth a goodbye even when ctx is over: it frees pins and staged blobs at once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(f.cfg.OpTimeout, 5*time.Second))
	defer cancel()
	if e := f.meta.CloseSession(ctx, r.Session); e != nil {
		f.log.Warn("cannot close the session; it will expire", "session", r.ID, "err", e)
	}
	return err
}

// spawn runs fn in a goroutine that Close waits for. It reports false, and runs nothing, once Close has begun to wait.
func (f *FS) spawn(fn func()) bool { return f.tasks.start(fn) }

func (f *FS) now() fs.Time { return fs.TimeOf(f.cfg.Now()) }

// bounded runs a call to the cluster for at most OpTimeout.
func (f *FS) bounded(ctx context.Context, call func(context.Context) (fs.Attr, error)) (fs.Attr, error) {
	return bounded(ctx, f, call)
}

func bounded[T any](ctx context.Context, f *FS, call func(context.Context) (T, error)) (T, error) {
	if f.tasks.isStopped() {
		var zero T
		return zero, fs.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	v, err := call(ctx)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		err = unavailable(err)
	}
	return v, err
}

// reading makes a call at the leader that reads and keeps nothing.
func reading[T any](ctx context.Context, f *FS, call func(context.Context) (T, error)) (T, error) {
	return asking(ctx, f, fs.LeaseNone, call, nil)
}

// Root is the directory that the mount shows as its root. It is another one if the one before has been renamed when the
// mount needs a new session.
func (f *FS) Root() fs.Ino { return fs.Ino(f.root.Load()) }

// ReadOnly reports whether the mount may change nothing, by its configuration or by its certificate.
func (f *FS) ReadOnly() bool { return f.cfg.ReadOnly || f.bound.Load() }

// enter takes over what a new session is bound to.
func (f *FS) enter(s *fs.Session) {
	f.root.Store(uint64(max(s.Root, fs.RootIno)))
	f.bound.Store(s.ReadOnly)
	f.session.Store(uint64(s.ID))
}

// Session is the id of the mount's latest session.
func (f *FS) Session() fs.SessionID { return fs.SessionID(f.session.Load()) }

// tasks counts goroutines.
type tasks struct {
	mu      sync.Mutex
	stopped bool
	wg      sync.WaitGroup
}

func (t *tasks) start(fn func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return false
	}
	t.wg.Go(fn)
	return true
}

// run is start for what the caller waits for himself.
func (t *tasks) run(fn func()) bool {
	t.mu.Lock()
	if t.stopped {
		t.mu.Unlock()
		return false
	}
	t.wg.Add(1)
	t.mu.Unlock()
	defer t.wg.Done()
	fn()
	return true
}

func (t *tasks) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
}

func (t *tasks) isStopped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stopped
}

func (t *tasks) wait() { t.wg.Wait() }
