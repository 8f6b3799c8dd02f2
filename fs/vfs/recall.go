package vfs

import (
	"dfs/fs"
)

// A lease goes back in steps, see package lease: no change is at work under it, what is dirty is flushed (both only for an
// exclusive one), what is known is dropped, here and by the front, and then the ack waits for the next beat.

// recalled takes recalls from the leader. It waits for nothing.
func (f *FS) recalled(list []fs.Recall) {
	l := f.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	var begun []fs.Ino
	for _, r := range list {
		if a, now := l.holder.Recalled(r); now {
			l.ack(a)
			continue
		}
		begun = l.begin(begun, r.Ino)
	}
	f.give(begun)
}

// giveUpSurplus gives back what is held beyond the bound.
func (f *FS) giveUpSurplus() {
	f.leases.mu.Lock()
	defer f.leases.mu.Unlock()
	f.giveLeases(f.leases.surplus())
}

// giveLeases gives leases back unasked; leases.mu is held.
func (f *FS) giveLeases(inos []fs.Ino) {
	l := f.leases
	var begun []fs.Ino
	for _, ino := range inos {
		l.holder.Unwanted(ino, fs.LeaseNone)
		begun = l.begin(begun, ino)
	}
	f.give(begun)
}

// begin adds an inode to a list, unless somebody is at work to give its lease back, or there is none; mu is held.
func (l *leases) begin(list []fs.Ino, ino fs.Ino) []fs.Ino {
	if _, leaving := l.holder.Leaving(ino); !leaving || l.giving[ino] != nil {
		return list
	}
	l.giving[ino] = &giving{}
	l.wake()
	return append(list, ino)
}

// give has leases given back: those that nothing keeps together, the others each by itself.
func (f *FS) give(inos []fs.Ino) {
	if len(inos) == 0 {
		return
	}
	ok := f.spawn(func() {
		var now []fs.Ino
		for _, ino := range inos {
			if _, ready := f.leases.unworked(ino); ready && f.leases.closed(ino, f.isClean(ino)) {
				now = append(now, ino)
			} else if !f.spawn(func() { f.giveOne(ino) }) {
				return
			}
		}
		f.drop(now)
	})
	if !ok {
		return // the mount is being closed; the session's end gives all back
	}
}

// isClean reports whether nothing of an inode waits to be flushed.
func (f *FS) isClean(ino fs.Ino) bool {
	n := f.table.peek(ino)
	if n == nil {
		return true
	}
	defer f.table.release(n)
	return !n.isUnflushed()
}

// closed moves a lease on to its last step, if no change is at work under it and, as far as it was exclusive, all is clean. That it is
// clean has been seen since it was unworked: what was at work before may have left something.
func (l *leases) closed(ino fs.Ino, clean bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to, leaving := l.holder.Leaving(ino); leaving && !l.holder.Closable(ino) || leaving && to < fs.LeaseExclusive && !clean {
		return false
	}
	l.holder.Close(ino)
	return true
}

// giveOne gives back a lease for which a change or a flush has to be waited for.
func (f *FS) giveOne(ino fs.Ino) {
	var wait backoff
	for f.life.Err() == nil {
		changed, ready := f.leases.unworked(ino)
		if !ready {
			select {
			case <-changed:
			case <-f.life.Done():
			}
			continue
		}
		if n := f.table.peek(ino); n != nil {
			_, err := n.flush(f.life, f)
			f.table.release(n)
			if err != nil {
				f.log.Warn("what another mount waits for cannot be flushed yet", "ino", ino, "err", err)
				wait.sleep(f.life, nil)
				continue
			}
		}
		if f.leases.closed(ino, f.isClean(ino)) {
			f.drop([]fs.Ino{ino})
			return
		}
	}
}

// unworked reports whether no change is at work under a lease that is leaving, or there is none any more.
func (l *leases) unworked(ino fs.Ino) (changed <-chan struct{}, ready bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, leaving := l.holder.Leaving(ino)
	return l.changed, !leaving || l.holder.Closable(ino)
}

// drop is the last step, for leases that are closed.
func (f *FS) drop(inos []fs.Ino) {
	told, lowered := f.leases.forgetting(inos, f.openAmong(inos))
	// What answers are on their way to the front, of this mount's own changes, was answered under the exclusive lease: so it
	// forgets attributes and names of what is only lowered, too.
	dropFrom(f.leases.front(), lowered, false)
	for passes := 1; ; passes++ {
		f.leases.passing(told)
		dropFrom(f.leases.front(), told, true)
		if inos, told = f.dropped(inos, passes == passesMax); len(inos) == 0 {
			return
		}
	}
}

// forgetting forgets what is known under leases, and returns what the front may remember: of those that go, and of those that are lowered.
func (l *leases) forgetting(inos []fs.Ino, open map[fs.Ino]bool) (told, lowered []*known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ino := range inos {
		k := l.known[ino]
		to, leaving := l.holder.Leaving(ino)
		if k == nil || !leaving { // the session is over; this may be the next one's
			continue
		}
		if k.told || open[ino] {
			if copied := *k; to > fs.LeaseNone {
				lowered = append(lowered, &copied)
			} else {
				told = append(told, &copied)
			}
		}
		k.told = false // unless somebody is told anew: only what may be kept
		if to == fs.LeaseNone {
			l.giving[ino].k = k
			l.forget(ino)
		}
	}
	return told, lowered
}

func (l *leases) front() Kernel {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kernel
}

// dropped gives back the leases of which the front has dropped all, and has that told to the leader. It returns the others, if this
// is not the last pass.
func (f *FS) dropped(inos []fs.Ino, last bool) (left []fs.Ino, told []*known) {
	l := f.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	var again []fs.Ino // what was asked back further meanwhile begins anew
	for _, ino := range inos {
		if g := l.giving[ino]; g.again && !last {
			copied := *g.k
			left, told = append(left, ino), append(told, &copied)
			continue
		} else if g.again {
			f.log.Warn("a program reads a mapped file faster than the kernel drops it; giving its lease back nevertheless", "ino", ino)
		}
		delete(l.giving, ino)
		if a, ok := l.holder.GiveBack(ino); ok {
			l.ack(a)
		}
		again = l.begin(again, ino)
	}
	l.wake()
	f.give(again)
	return left, told
}

// openAmong are those inodes of which a front may have pages although it was told nothing that it may believe: they are mapped.
func (f *FS) openAmong(inos []fs.Ino) map[fs.Ino]bool {
	open := make(map[fs.Ino]bool)
	for _, ino := range inos {
		n := f.table.peek(ino)
		if n == nil {
			open[ino] = false
			continue
		}
		n.mu.Lock()
		open[ino] = n.handles > 0
		n.mu.Unlock()
		f.table.release(n)
	}
	return open
}

// ack has an ack sent; mu is held.
func (l *leases) ack(a fs.LeaseAck) {
	l.acks = append(l.acks, a)
	select {
	case l.due <- struct{}{}:
	default:
	}
}

// acksMax bounds the acks of one beat.
const acksMax = 16384

// takeAcks takes the acks that the next beat carries.
func (l *leases) takeAcks() []fs.LeaseAck {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := min(len(l.acks), acksMax)
	list := l.acks[:k:k]
	l.acks = l.acks[k:]
	if len(l.acks) > 0 {
		select {
		case l.due <- struct{}{}:
		default:
		}
	}
	return list
}
