package vfs

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// Whatever is lost, and however often the leader changes: two never believe that they alone have the lock, and all get it.
func TestLocks_ExcludeWhileLeadersChangeAndAnswersAreLost(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 2000})
	var mounts []*mount
	for range 3 {
		mounts = append(mounts, w.mount(t, Config{OpTimeout: 5 * time.Second}))
	}
	file := mounts[0].create("f")
	for _, m := range mounts {
		for _, step := range []string{"lock", "lock.answer"} {
			m.sw.hook(step, func() error {
				switch rand.N(15) {
				case 0:
					return fs.ErrUnavailable
				case 1, 2: // the call, or its answer, is on the way while the mounts attach to another leader
					err := w.meta.Failover()
					time.Sleep(rand.N(30 * time.Millisecond))
					return err
				}
				return nil
			})
		}
	}
	over, stop := context.WithCancel(ctxT(t))
	var chaos sync.WaitGroup
	chaos.Go(func() {
		for over.Err() == nil {
			if err := w.meta.Failover(); err != nil {
				t.Error(err)
			}
			select {
			case <-time.After(rand.N(40 * time.Millisecond)):
			case <-over.Done():
			}
		}
	})
	var writers, readers atomic.Int32
	var workers sync.WaitGroup
	for i := range 9 {
		h := mounts[i%3].open("f", rw)
		workers.Go(func() { lockUnlock(t, h, uint64(i), &writers, &readers) })
	}
	workers.Wait()
	stop()
	chaos.Wait()
	for _, m := range mounts {
		m.sw.hook("lock", func() error { return nil })
		m.sw.hook("lock.answer", func() error { return nil })
	}
	eventually(t, "nothing is locked at the end", func() bool { return len(w.meta.Locks()) == 0 })
	if err := file.LockLost(); err != nil {
		t.Error(err)
	}
}

// lockUnlock takes the lock 12 times; some calls fail, since answers are lost, and some give up.
func lockUnlock(t *testing.T, h *Handle, owner uint64, writers, readers *atomic.Int32) {
	for got := 0; got < 12; {
		l := fs.Lock{Kind: fs.LockRange, Owner: owner, Type: fs.LockType(1 + rand.N(2)), End: 9}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rand.N(200))*time.Millisecond)
		state, err := h.Lock(ctx, l, rand.N(4) > 0)
		cancel()
		if err != nil || state != fs.LockGranted {
			continue
		}
		got++
		alone := l.Type == fs.LockWrite
		if alone && (writers.Add(1) != 1 || readers.Load() != 0) || !alone && (readers.Add(1) < 1 || writers.Load() != 0) {
			t.Errorf("%d writers, %d readers", writers.Load(), readers.Load())
		}
		time.Sleep(rand.N(time.Millisecond)) // time for others to believe so too
		if alone {
			writers.Add(-1)
		} else {
			readers.Add(-1)
		}
		if _, err := h.Unlock(context.Background(), l); err != nil {
			t.Error(err)
		}
	}
}
