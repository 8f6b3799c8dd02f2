package vfs

import (
	"context"
	"slices"
	"sync"

	"dfs/fs"
)

// unpinsMax bounds the unpins of one beat.
const unpinsMax = 8192

// pins counts what this mount holds open, and hands unpins to the beats.
//
// An unpin travels on the session's stream and a Pin as a call of its own, so one may overtake the other. Therefore an
// inode that is held again while its unpin is on the way waits until the beat is answered, or a new stream stands.
type pins struct {
	mu     sync.Mutex
	held   map[fs.Ino]*pin
	unheld []fs.Ino // candidates for unpinning; may name inodes that are held again
	lists  uint64   // how many lists have been made for Attach

	untold []fs.Ino // held, and the leader has not been told; may name inodes that are not, any more

	many chan struct{} // has a token when unheld, or untold, should not wait for the next beat
}

type pin struct {
	n       int
	untold  bool          // the leader does not know of it
	listed  uint64        // the last list that it was on
	leaving uint64        // the Seq of the beat that carries its unpin; 0 if none does
	arrived chan struct{} // closed when that beat has been answered; nil if leaving is 0
}

func newPins() *pins { return &pins{held: make(map[fs.Ino]*pin), many: make(chan struct{}, 1)} }

// hold counts one holder more, to be followed by a Pin. On an error nothing is counted.
func (p *pins) hold(ctx context.Context, ino fs.Ino) error {
	p.mu.Lock()
	e := p.entry(ino)
	e.n++
	arrived := e.arrived
	p.mu.Unlock()
	if arrived == nil {
		return nil
	}
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		p.release(ino)
		return ctx.Err()
	}
}

// holdUntold counts one holder more of an inode whose pin the leader may be told of later. It is false, and counts nothing, where
// an unpin is on its way.
func (p *pins) holdUntold(ino fs.Ino) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.held[ino]
	if e != nil && e.leaving != 0 {
		return false
	}
	if e == nil {
		e = &pin{untold: true}
		p.held[ino] = e
		p.untold = append(p.untold, ino)
	}
	e.n++
	return true
}

// told notes that the leader knows of a pin.
func (p *pins) told(ino fs.Ino) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.held[ino]; e != nil {
		e.untold = false
	}
}

// anyUntold reports whether isUntold may be true of any.
func (p *pins) anyUntold() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.untold) > 0
}

// isHeld reports whether an inode has a holder.
func (p *pins) isHeld(ino fs.Ino) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.held[ino]
	return e != nil && e.n > 0
}

// isUntold reports whether an inode is held of which the leader has not been told.
func (p *pins) isUntold(ino fs.Ino) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.held[ino]
	return e != nil && e.untold && e.n > 0
}

// hurry has a beat sent now.
func (p *pins) hurry() {
	select {
	case p.many <- struct{}{}:
	default:
	}
}

// takeUntold takes the pins that the next beat tells.
func (p *pins) takeUntold() []fs.Ino {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []fs.Ino
	for _, ino := range p.untold {
		e := p.held[ino]
		switch {
		case e == nil || !e.untold:
		case e.n == 0:
			if e.untold = false; e.leaving == 0 {
				delete(p.held, ino)
			}
		default:
			e.untold = false
			list = append(list, ino)
		}
	}
	p.untold = nil
	return list
}

// again counts one holder more of what is held already, and so is pinned.
func (p *pins) again(ino fs.Ino) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entry(ino).n++
}

func (p *pins) entry(ino fs.Ino) *pin {
	e := p.held[ino]
	if e == nil {
		e = &pin{}
		p.held[ino] = e
	}
	return e
}

// release counts one holder less; the last one's unpin goes with a later beat.
func (p *pins) release(ino fs.Ino) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.held[ino]
	if e.n--; e.n > 0 {
		return
	}
	p.unheld = append(p.unheld, ino)
	if len(p.unheld) >= unpinsMax/2 {
		p.hurry()
	}
}

// all is what is held.
func (p *pins) all() []fs.Ino {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.collect(func(*pin) bool { return true })
}

// list is all, for Attach. What is untold stays so until the first beat: an Attach may fail.
func (p *pins) list() []fs.Ino {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lists++
	return p.collect(func(e *pin) bool {
		e.listed = p.lists
		return true
	})
}

// unlisted is what is held and was not on the last list, for the first beat of the stream that was attached with it.
func (p *pins) unlisted() []fs.Ino {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.collect(func(e *pin) bool { return e.listed != p.lists })
}

// collect lists, in order, what is held and passes a test; mu is held.
func (p *pins) collect(test func(*pin) bool) []fs.Ino {
	var list []fs.Ino
	for ino, e := range p.held {
		if e.n > 0 && test(e) {
			list = append(list, ino)
		}
	}
	slices.Sort(list)
	return list
}

// depart picks the unpins that beat seq carries.
func (p *pins) depart(seq uint64) []fs.Ino {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []fs.Ino
	for len(p.unheld) > 0 && len(list) < unpinsMax {
		ino := p.unheld[0]
		p.unheld = p.unheld[1:]
		e := p.held[ino]
		if e == nil || e.n > 0 || e.leaving != 0 {
			continue
		}
		e.leaving, e.arrived = seq, make(chan struct{})
		list = append(list, ino)
	}
	return list
}

// arrive is told that beat seq, and so every earlier one, has been answered.
func (p *pins) arrive(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ino, e := range p.held {
		if e.leaving != 0 && e.leaving <= seq {
			p.settle(ino, e)
		}
	}
}

func (p *pins) settle(ino fs.Ino, e *pin) {
	close(e.arrived)
	e.leaving, e.arrived = 0, nil
	if e.n == 0 {
		delete(p.held, ino)
	}
}

// reattached is told that a new stream stands: beats of the old one are lost or done, and unpins that were on the way
// are due again. After a change of sessions some of them, and of those in unheld, are pinned no longer: unpinning them
// does no harm.
func (p *pins) reattached() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ino, e := range p.held {
		if e.leaving == 0 {
			continue
		}
		close(e.arrived)
		e.leaving, e.arrived = 0, nil
		if e.n == 0 {
			p.unheld = append(p.unheld, ino)
		}
	}
}
