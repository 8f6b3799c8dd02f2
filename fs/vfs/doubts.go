package vfs

import (
	"context"
	"errors"
	"sync"

	"dfs/fs"
)

// doubt is a metadata operation whose caller has given up without learning its outcome.
type doubt struct {
	r  *registration
	id fs.TxID
}

// doubts waits for outcomes in the callers' stead. One is added after OpTimeout at the earliest, so there are never
// more than the callers can start in the time that the cluster is away.
type doubts struct {
	mu   sync.Mutex
	list []doubt
	kick chan struct{}
}

func newDoubts() *doubts { return &doubts{kick: make(chan struct{}, 1)} }

func (d *doubts) add(one doubt) {
	d.mu.Lock()
	d.list = append(d.list, one)
	d.mu.Unlock()
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func (d *doubts) first() (doubt, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return doubt{}, false
	}
	return d.list[0], true
}

func (d *doubts) removeFirst() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = d.list[1:]
}

// resolveDoubts aborts doubtful transactions until each has an outcome; then Done may pass them.
func (f *FS) resolveDoubts(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		one, ok := f.doubts.first()
		if !ok {
			select {
			case <-f.doubts.kick:
			case <-ctx.Done():
			}
			continue
		}
		if err := f.resolve(ctx, one); err != nil {
			wait.sleep(ctx, one.r.over)
			continue
		}
		wait = backoff{}
		one.r.end(one.id)
		f.doubts.removeFirst()
	}
}

func (f *FS) resolve(ctx context.Context, one doubt) error {
	if one.r.ended() {
		return nil // nothing of that session can be decided any more
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	result, err := f.meta.Abort(ctx, one.r.Epoch, one.id)
	if errors.Is(err, fs.ErrFenced) {
		f.fenced(one.r)
		return nil
	}
	if err == nil {
		f.log.Info("a doubtful operation has an outcome", "tx", one.id, "outcome", result.Err)
	}
	return err
}
