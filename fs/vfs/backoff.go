package vfs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"dfs/fs"
)

// Pauses between repeated calls.
const (
	retryDelayMin = 10 * time.Millisecond
	retryDelayMax = 500 * time.Millisecond
)

// backoff is a pause that grows. The zero value is ready.
type backoff struct{ delay time.Duration }

// sleep pauses, with jitter, until ctx ends or over is closed.
func (b *backoff) sleep(ctx context.Context, over <-chan struct{}) {
	b.delay = min(max(2*b.delay, retryDelayMin), retryDelayMax)
	t := time.NewTimer(b.delay/2 + rand.N(b.delay))
	defer t.Stop()
	select {
	case <-t.C:
	case <-over:
	case <-ctx.Done():
	}
}

// unavailable is what a caller gets whose time ran out: ErrUnavailable with the cause, or his own cancellation as it is.
func unavailable(cause error) error {
	if cause == nil || errors.Is(cause, context.Canceled) || errors.Is(cause, fs.ErrUnavailable) {
		return cause
	}
	return fmt.Errorf("%w: %w", fs.ErrUnavailable, cause)
}

// transient reports whether a call may work when repeated; it may have worked already.
func transient(err error) bool {
	switch fs.CodeOf(err) {
	case fs.CodeUnavailable, fs.CodeTimeout, fs.CodeNotLeader, fs.CodeBusy, fs.CodeClosed:
		return true
	case fs.CodeInternal:
		return true // that, or it wraps no sentinel: a cancelled attempt, a broken connection
	}
	return false
}
