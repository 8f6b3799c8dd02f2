package vfs

import "sync"

// errseq remembers the last late error of an inode so that each handle reports it once; compare errseq_t in Linux.
type errseq struct {
	n    uint64
	err  error
	seen bool // somebody has reported err
}

func (e *errseq) set(err error) {
	e.n++
	e.err, e.seen = err, false
}

// start is where a new handle stands: before an error that nobody has reported yet, behind any other.
func (e *errseq) start() uint64 {
	if e.n > 0 && !e.seen {
		return e.n - 1
	}
	return e.n
}

// check returns an error that has happened since at, and moves at behind it.
func (e *errseq) check(at *uint64) error {
	if *at == e.n {
		return nil
	}
	*at = e.n
	e.seen = true
	return e.err
}

// losses remembers for Sync that data of some inode was lost.
type losses struct {
	mu  sync.Mutex
	err error
}

func (l *losses) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// report returns the last loss, once.
func (l *losses) report() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.err
	l.err = nil
	return err
}
