package vfs

import (
	"container/list"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"dfs/fs"
	"dfs/fs/lease"
)

// Kernel is a front's own cache of what vfs has answered. It is told before a lease is given back. The calls wait for no answer
// to a request of the front, but for DropPages, which ends within a bounded time.
type Kernel interface {
	// DropNames forgets what every name means.
	DropNames()
	// DropAttr forgets an inode's attributes.
	DropAttr(ino fs.Ino)
	// DropPages forgets a file's attributes and content.
	DropPages(ino fs.Ino)
}

// Validity says for how long a front may believe an answer without asking again; 0: not at all.
type Validity struct {
	Entry time.Duration // what the name means, or that there is none
	Attr  time.Duration
}

// leases is what the mount may cache, and what it has cached. Its mu is held for moments; of other locks only that of FS.tasks is
// taken under it.
type leases struct {
	clock func() time.Duration // counts on while the machine sleeps
	max   int                  // of known

	mu      sync.Mutex
	holder  *lease.Holder
	known   map[fs.Ino]*known // of each lease held
	lru     *list.List        // of *known, the least recently used in front
	kernel  Kernel
	over    bool // leases may be used no more, and kernel has been told
	acks    []fs.LeaseAck
	due     chan struct{}            // has a token when acks wait
	sent    map[uint64]time.Duration // when the beats left that are not answered
	giving  map[fs.Ino]*giving       // somebody is at work to give the lease back
	passes  uint64                   // how often the front has been told to drop pages
	fresh   map[fs.Ino]bool          // within back: what leases the answer has brought
	changed chan struct{}            // closed when something has come to pass that others may wait for
}

func newLeases(clock func() time.Duration, max int) *leases {
	return &leases{clock: clock, max: max, holder: lease.NewHolder(), known: make(map[fs.Ino]*known), lru: list.New(),
		due: make(chan struct{}, 1), sent: make(map[uint64]time.Duration), giving: make(map[fs.Ino]*giving), changed: make(chan struct{})}
}

// SetKernel says whose caches are to be told; before the first call that a front makes.
func (f *FS) SetKernel(k Kernel) {
	f.leases.mu.Lock()
	defer f.leases.mu.Unlock()
	f.leases.kernel = k
}

// untilWanted is ctx that ends, too, when an inode's lease is wanted by another mount: with errYield as its cause. stop must be called.
func (l *leases) untilWanted(ctx context.Context, ino fs.Ino) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		for {
			l.mu.Lock()
			_, leaving := l.holder.Leaving(ino)
			changed := l.changed
			l.mu.Unlock()
			if leaving {
				cancel(errYield)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// wake is called, with mu held, when claims, leases or what is unflushed have changed.
func (l *leases) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// rest is for how long what is known of an inode may be used without asking; mu is held.
func (l *leases) rest(ino fs.Ino) time.Duration {
	if l.holder.Held(ino).Mode == fs.LeaseNone {
		return 0
	}
	if to, leaving := l.holder.Leaving(ino); leaving && to == fs.LeaseNone {
		return 0
	}
	return max(l.holder.Until()-l.clock(), 0)
}

// usable returns what is known of an inode under a lease that may be used now, or nil; mu is held.
func (l *leases) usable(ino fs.Ino) *known {
	k := l.known[ino]
	if k == nil || k.dead || l.rest(ino) == 0 {
		return nil
	}
	l.lru.MoveToBack(k.elem)
	return k
}

// attr answers from the cache.
func (l *leases) attr(ino fs.Ino) (a fs.Attr, valid time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.usable(ino)
	if k == nil || k.attr.Ino == 0 {
		return fs.Attr{}, 0, false
	}
	return k.attr, l.validity(k), true
}

// validity is how long the front may believe what it is told of k now; mu is held. Nothing that is being given back.
func (l *leases) validity(k *known) time.Duration {
	if _, leaving := l.holder.Leaving(k.ino); leaving {
		return 0
	}
	k.told = true
	return l.rest(k.ino)
}

// holds reports whether a lease of at least m may be used now.
func (l *leases) holds(ino fs.Ino, m fs.LeaseMode) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rest(ino) > 0 && l.holder.Held(ino).Mode >= m
}

// stands reports whether there is a lease, though it may be asked back: as long as it is not given back nobody else changes the inode.
func (l *leases) stands(ino fs.Ino) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder.Held(ino).Mode > fs.LeaseNone && l.clock() < l.holder.Until()
}

// allExclusive reports whether the mount holds all of some inodes exclusively, whether or not it may use them now.
func (l *leases) allExclusive(inos []fs.Ino) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ino := range inos {
		if l.holder.Held(ino).Mode != fs.LeaseExclusive {
			return false
		}
	}
	return true
}

// leave notes that a call is being sent whose answer may bring leases; back follows.
func (l *leases) leave() lease.Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder.Leave()
}

// back takes the leases from the answer of a call, and has keep note, in the same moment, what it says. It returns those that
// are too many now.
func (l *leases) back(m lease.Mark, c *fs.LeaseCall, keep func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh = make(map[fs.Ino]bool, len(c.Got))
	for _, g := range c.Got {
		if !l.holder.Granted(m, c.Term, g) {
			continue
		}
		l.fresh[g.Ino] = true
		if l.known[g.Ino] == nil {
			k := &known{ino: g.Ino}
			k.elem = l.lru.PushBack(k)
			l.known[g.Ino] = k
		}
	}
	keep()
	l.fresh = nil
	l.holder.Back()
}

// surplus lists the least recently used leases, if there are too many; mu is held.
func (l *leases) surplus() []fs.Ino {
	if len(l.known) <= l.max {
		return nil
	}
	var list []fs.Ino
	for e := l.lru.Front(); e != nil && len(list) < l.max/16+1; e = e.Next() {
		list = append(list, e.Value.(*known).ino)
	}
	return list
}

// forget drops what is known of an inode whose lease is gone; mu is held.
func (l *leases) forget(ino fs.Ino) {
	if k := l.known[ino]; k != nil {
		l.lru.Remove(k.elem)
		delete(l.known, ino)
	}
}

// sending notes when a beat leaves.
func (l *leases) sending(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[seq] = l.clock()
}

// answered notes that a beat, and so every earlier one, has been answered.
func (l *leases) answered(seq uint64, timeout time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.sent[seq]; ok {
		l.holder.Renew(at, timeout)
	}
	for s := range l.sent {
		if s <= seq {
			delete(l.sent, s)
		}
	}
}

// reclaim lists the leases for a leader that is turned to.
func (l *leases) reclaim() []fs.Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.sent)
	l.acks = nil // of what is not on the list; to another leader their numbers would mean something else
	return l.holder.Reclaim()
}

// attached notes whose notices come: from now on leases of this leader are taken.
func (l *leases) attached(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holder.Attached(term)
}

// loseLeases forgets everything: the session is over.
func (f *FS) loseLeases() {
	l := f.leases
	open := f.openAmong(l.inos())
	l.mu.Lock()
	var told []*known
	for _, k := range l.known {
		if is, asked := open[k.ino]; k.told || is || !asked { // not asked: it has come since
			told = append(told, k)
		}
	}
	l.holder.Lose()
	clear(l.known)
	clear(l.sent)
	l.lru.Init()
	l.acks = nil
	kernel := l.kernel
	l.wake()
	l.mu.Unlock()
	dropFrom(kernel, told, true)
}

// inos are those of which something is known.
func (l *leases) inos() []fs.Ino {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.known))
}

// lapseTick is how often it is looked whether leases may be used no more.
const lapseTick = 100 * time.Millisecond

// watchLapse has the front forget everything when leases may be used no more, until ctx ends. It was told to believe nothing for
// longer; but this process may have been stopped between reckoning that and answering.
func (f *FS) watchLapse(ctx context.Context) {
	tick := time.NewTicker(lapseTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			kernel, told := f.leases.lapsed()
			dropFrom(kernel, told, false)
		case <-ctx.Done():
			return
		}
	}
}

// lapsed is what a front was told, if leases may be used no more, once. What is answered after that was asked before it, and the
// kernel takes it as old.
func (l *leases) lapsed() (Kernel, []*known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.over
	l.over = l.clock() >= l.holder.Until()
	if l.kernel == nil || !l.over || before {
		return nil, nil
	}
	var told []*known
	for _, k := range l.known {
		if k.told {
			copied := *k
			told = append(told, &copied)
		}
	}
	return l.kernel, told
}

// dropsMax is how many files' pages are dropped at once. Each may take a moment, and an ack, or the next session, waits for all.
const dropsMax = 64

// dropFrom has a front forget what it was told of inodes. What names mean goes with their directory; one that is removed has none.
func dropFrom(kernel Kernel, told []*known, pages bool) {
	if kernel == nil || len(told) == 0 {
		return
	}
	if slices.ContainsFunc(told, func(k *known) bool { return k.attr.Ino == 0 || k.attr.IsDir() && k.attr.Nlink > 0 }) {
		kernel.DropNames()
	}
	var dropping sync.WaitGroup
	defer dropping.Wait()
	room := make(chan struct{}, dropsMax)
	for _, k := range told {
		if !pages || k.attr.Ino != 0 && k.attr.Type != fs.TypeRegular {
			kernel.DropAttr(k.ino)
			continue
		}
		room <- struct{}{}
		dropping.Go(func() {
			kernel.DropPages(k.ino)
			<-room
		})
	}
}

// asking makes a call at the leader that may bring the leases that it wants; keep, which may be nil, notes what the answer says, under leases.mu.
// A session that turns out to be fenced is replaced, and the next one asked under.
func asking[T any](ctx context.Context, f *FS, want fs.LeaseMode, call func(context.Context) (T, error), keep func(T, error)) (T, error) {
	return askingFor(ctx, f, fs.LeaseCall{Want: want}, call, keep)
}

// askingFor is asking for more than a mode.
func askingFor[T any](ctx context.Context, f *FS, c fs.LeaseCall, call func(context.Context) (T, error), keep func(T, error)) (T, error) {
	return bounded(ctx, f, func(ctx context.Context) (T, error) {
		return inSession(ctx, f, func(r *registration) (T, error) {
			v, _, err := under(ctx, f, r, c, call, keep)
			return v, err
		})
	})
}

// inSession makes a call under the current session. One that turns out to be fenced is replaced, and the call made under the next.
func inSession[T any](ctx context.Context, f *FS, call func(*registration) (T, error)) (T, error) {
	for {
		r, err := f.sessions.wait(ctx)
		if err != nil {
			var zero T
			return zero, err
		}
		v, err := call(r)
		if fs.CodeOf(err) != fs.CodeFenced {
			return v, err
		}
		f.fenced(r)
	}
}

// under is one call under one session; it returns the leader's term, too, 0 of one that knows of no leases.
func under[T any](ctx context.Context, f *FS, r *registration, c fs.LeaseCall, call func(context.Context) (T, error), keep func(T, error)) (T, uint64, error) {
	c.Session, c.Epoch = r.ID, r.Epoch
	mark := f.leases.leave()
	v, err := call(fs.WithLeases(fs.WithSession(ctx, &r.Session), &c))
	if err != nil {
		c.Got = nil
	}
	f.leases.back(mark, &c, func() {
		if keep != nil {
			keep(v, err)
		}
	})
	if len(c.Got) > 0 {
		f.giveUpSurplus()
	}
	return v, c.Term, err
}
