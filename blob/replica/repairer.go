package replica

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"dfs/blob"
	"dfs/fs"
)

// repairer is what a leader remembers about repairs.
type repairer struct {
	rate  *rate.Limiter
	after fs.BlobID // where the next look at the debts begins

	mu        sync.Mutex
	resting   map[fs.BlobID]time.Time // not to be tried again before
	abandoned []abandoned
}

// abandoned is a copy that no SetReplicas was, or will be, proposed for.
type abandoned struct {
	node   fs.NodeInfo
	staged blob.Staged
}

func (r *repairer) abandon(a abandoned) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.abandoned) < abandonedMax {
		r.abandoned = append(r.abandoned, a)
	}
}

func (r *repairer) takeAbandoned() []abandoned {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.abandoned
	r.abandoned = nil
	return list
}

func (r *repairer) rest(id fs.BlobID, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resting == nil || len(r.resting) >= restingMax {
		r.resting = map[fs.BlobID]time.Time{}
	}
	r.resting[id] = time.Now().Add(d)
}

func (r *repairer) isResting(id fs.BlobID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, ok := r.resting[id]
	if ok && time.Now().After(until) {
		delete(r.resting, id)
		ok = false
	}
	return ok
}
