package badgerstore

import (
	"fmt"
	"sync"

	"dfs/fs"
)

// failure is the poison of a store: once a write or a sync has failed nobody knows what the disk holds (after a failed
// fsync the kernel may have thrown the pages away), so nothing more is written and nothing is retried. A restart reads
// back what is really there.
type failure struct {
	mu  sync.Mutex
	err error
	ch  chan error
}

func newFailure() *failure { return &failure{ch: make(chan error, 1)} }

// set records the first failure.
func (f *failure) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = fmt.Errorf("the blob store has stopped: %w", unavailable(err))
		f.ch <- f.err // holds one; this is the only send
	}
}

func (f *failure) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// unavailable marks an error of Badger's, which is none of ours, as one that another node may help with.
func unavailable(err error) error {
	if fs.CodeOf(err) != fs.CodeInternal {
		return err
	}
	return fmt.Errorf("%w: %w", err, fs.ErrUnavailable)
}
