package metarpc

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	retryDelayMin = 10 * time.Millisecond
	retryDelayMax = 500 * time.Millisecond
)

// backoff doubles a delay, with jitter, from retryDelayMin to retryDelayMax.
type backoff struct{ delay time.Duration }

// sleep waits for half the delay and a random part of the other half; ctx's error ends it.
func (b *backoff) sleep(ctx context.Context) error {
	b.delay = min(max(2*b.delay, retryDelayMin), retryDelayMax)
	t := time.NewTimer(b.delay/2 + rand.N(b.delay/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
