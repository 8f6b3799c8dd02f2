package vfs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dfs/fs"
	"dfs/fs/lock"
)

// locks is what the programs of this mount hold, as far as they have been told, and the calls about it that are under way. See
// DESIGN.md, "Locks of files".
type locks struct {
	mu      sync.Mutex
	owners  map[lockKey]*lockOwner
	told    uint64        // counts up when a leader is told what is held, and when a session is lost
	changed chan struct{} // closed and replaced with told
	seq     uint64        // the last call's number
	open    map[uint64]struct{}
	tickets map[uint64]chan struct{} // of waits: each has a token when it is worth asking again
	ticket  uint64                   // the last one
	leaving map[fs.Ino]int           // Releases that still give locks up
	left    chan struct{}            // closed and replaced when one of them is done

	slots chan struct{} // a token for each call under way
}

// lockKey is an owner's part of one inode.
type lockKey struct {
	ino   fs.Ino
	kind  fs.LockKind
	owner uint64
}

// lockOwner is what one owner holds on one inode. It is there as long as it holds something or somebody uses it.
type lockOwner struct {
	key  lockKey
	turn chan struct{} // held by who makes a call: an owner's calls come one after the other

	// The rest is guarded by locks.mu.
	users    int
	held     lock.Ranges
	under    *registration // of held
	pid      uint32
	via      map[*Handle]struct{} // those that it was taken through
	lowering map[*fs.Lock]struct{}
	weakened bool // a leader was told less than held, for what is lowering
}

func newLocks() *locks {
	return &locks{owners: map[lockKey]*lockOwner{}, changed: make(chan struct{}), open: map[uint64]struct{}{},
		tickets: map[uint64]chan struct{}{}, leaving: map[fs.Ino]int{}, left: make(chan struct{}), slots: make(chan struct{}, fs.LockOpenMax)}
}

func keyOf(l *fs.Lock) lockKey { return lockKey{l.Ino, l.Kind, l.Owner} }

// use is the owner of l, made if there is none; to be followed by done.
func (k *locks) use(l *fs.Lock) *lockOwner {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := k.owners[keyOf(l)]
	if o == nil {
		o = &lockOwner{key: keyOf(l), turn: make(chan struct{}, 1), via: map[*Handle]struct{}{}, lowering: map[*fs.Lock]struct{}{}}
		k.owners[o.key] = o
	}
	o.users++
	return o
}

// known is use for an owner that is there; nil for none, who holds nothing and asks for nothing.
func (k *locks) known(l *fs.Lock) *lockOwner {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := k.owners[keyOf(l)]
	if o != nil {
		o.users++
	}
	return o
}

func (k *locks) done(o *lockOwner) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if o.users--; o.users == 0 && len(o.held) == 0 {
		delete(k.owners, o.key)
	}
}

func (o *lockOwner) take(ctx context.Context) error {
	select {
	case o.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// takeSoon is take for a program, which does not wait for ever: what is done in the owner's name may be to find a leader.
func (o *lockOwner) takeSoon(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return o.take(ctx)
}

func (o *lockOwner) free() { <-o.turn }

// begin is told that a lock is about to be asked for. Until end a leader may have made read locks of what the owner holds as
// write locks; an old flock it takes away in any case.
func (k *locks) begin(o *lockOwner, l *fs.Lock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o.pid = l.PID
	if l.Kind == fs.LockFlock && !o.held.Covers(l.Start, l.End, l.Type) {
		o.held = nil
	}
	if l.Type == fs.LockRead {
		o.lowering[l] = struct{}{}
	}
}

// end is told that l has been asked for. If it was refused, and a leader was told less than what is held meanwhile, that is lost.
func (k *locks) end(o *lockOwner, l *fs.Lock, granted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, lowering := o.lowering[l]
	delete(o.lowering, l)
	if lowering && !granted && o.weakened {
		o.lose()
	}
	if len(o.lowering) == 0 {
		o.weakened = false
	}
}

// lose makes the handles that o's locks were taken through useless: their users rely on what is gone. locks.mu is held.
func (o *lockOwner) lose() {
	for h := range o.via {
		h.unlocked.Store(true)
	}
	o.held = nil
}

func (k *locks) loseHandles(o *lockOwner) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o.lose()
}

// holds reports whether o holds anything within [start, end].
func (k *locks) holds(o *lockOwner, start, end uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return o.held.Overlaps(start, end)
}

// unhold takes [start, end] from what o holds.
func (k *locks) unhold(o *lockOwner, start, end uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o.held = o.held.Clear(start, end)
}

// list is what a leader is told that does not know it: what is held under r, and no more than what may still be held. Answers
// to calls that were sent before do not count any more.
func (k *locks) list(r *registration) fs.LockClaim {
	k.mu.Lock()
	defer k.mu.Unlock()
	claim := fs.LockClaim{Seq: k.seq}
	for _, o := range k.owners {
		if o.under != r {
			continue
		}
		held := o.held
		for l := range o.lowering {
			less := false
			held, less = held.Lowered(l.Start, l.End)
			o.weakened = o.weakened || less
		}
		for _, x := range held {
			claim.Locks = append(claim.Locks, fs.Lock{Ino: o.key.ino, Kind: o.key.kind, Owner: o.key.owner, PID: o.pid,
				Type: x.Type, Start: x.Start, End: x.End})
		}
	}
	k.change()
	return claim
}

// lost is told that r is over, and with it what was held under it.
func (k *locks) lost(r *registration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, o := range k.owners {
		if o.under == r && len(o.held) > 0 {
			o.lose()
			if o.users == 0 {
				delete(k.owners, key)
			}
		}
	}
	k.change()
}

// change is called with mu held.
func (k *locks) change() {
	k.told++
	close(k.changed)
	k.changed = make(chan struct{})
}

// generation is how often a leader has been told, and a channel that is closed when it is told again.
func (k *locks) generation() (uint64, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.told, k.changed
}

// number allots the number of a call and lists those that are under way.
func (k *locks) number() (seq uint64, open []uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n := range k.open {
		open = append(open, n)
	}
	slices.Sort(open)
	k.seq++
	k.open[k.seq] = struct{}{}
	return k.seq, open
}

// over is told that nobody waits for a call's answer any more.
func (k *locks) over(seq uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.open, seq)
}

func (k *locks) newTicket() (uint64, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ticket++
	woken := make(chan struct{}, 1)
	k.tickets[k.ticket] = woken
	return k.ticket, woken
}

func (k *locks) dropTicket(ticket uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tickets, ticket)
}

// wake is told the tickets of a Notice.
func (k *locks) wake(tickets []uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range tickets {
		select {
		case k.tickets[t] <- struct{}{}:
		default: // it has a token, or nobody waits any more
		}
	}
}

// settled waits until no Release on this mount is still giving up locks on an inode: who has closed a file before has unlocked it.
func (k *locks) settled(ctx context.Context, ino fs.Ino) error {
	for {
		k.mu.Lock()
		n, left := k.leaving[ino], k.left
		k.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-left:
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
	}
}

// released takes h from all owners, and returns those that have no other handle: their locks go. It is to be followed by departed
// if there are any.
func (k *locks) released(h *Handle) (orphans []*lockOwner) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, o := range k.owners {
		if _, ok := o.via[h]; !ok {
			continue
		}
		delete(o.via, h)
		if len(o.via) == 0 && len(o.held) > 0 {
			o.users++
			orphans = append(orphans, o)
		}
	}
	if orphans != nil {
		k.leaving[h.n.ino]++
	}
	return orphans
}

func (k *locks) departed(ino fs.Ino) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.leaving[ino]--; k.leaving[ino] == 0 {
		delete(k.leaving, ino)
	}
	close(k.left)
	k.left = make(chan struct{})
}

// LockLost is an error if a lock that was taken through h has been lost with its session: what its user does from then on he would
// do without it. It stays until h is released.
func (h *Handle) LockLost() error {
	if h.unlocked.Load() {
		return fmt.Errorf("inode %d: %w", h.n.ino, errLockLost)
	}
	return nil
}

// errLockLost is what a handle gets whose user relies on a lock that is gone.
var errLockLost = fmt.Errorf("a lock was lost with the session: %w", fs.ErrFenced)
