package replica

import (
	"context"
	"fmt"
	"time"

	"dfs/fs"
)

// race tries nodes side by side until enough have won; see DESIGN.md. It is used once, by one goroutine.
type race[T any] struct {
	want, min int           // as many wins as one would like, and as many as one can do with
	patience  time.Duration // of one try, before another node is started in its place
	last      time.Duration // patience with a try in whose place there is no node to start, once min have won
	queue     []fs.NodeInfo // to be tried, in this order
	reserve   []fs.NodeInfo // to be tried if min cannot be had otherwise
	try       func(context.Context, fs.NodeInfo) (T, error)
	fatal     func(error) bool // errors that no other node can cure

	running map[fs.NodeID]time.Time // since when
	wins    []win[T]
	losses  []loss
	answers chan answer[T]
}

type win[T any] struct {
	node  fs.NodeID
	value T
}

type loss struct {
	node    fs.NodeID
	err     error
	overdue bool // it had not answered when the race ended, though its patience was over
}

type answer[T any] struct {
	node  fs.NodeID
	value T
	err   error
}

// run returns when the race is over and all of its tries have ended. The error is a fatal one, or ctx's.
func (r *race[T]) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	r.running = make(map[fs.NodeID]time.Time)
	r.answers = make(chan answer[T], len(r.queue)+len(r.reserve))
	defer r.await()
	defer cancel()
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		now := time.Now()
		r.launch(ctx, now, r.younger(now, r.patience))
		if r.over(now) {
			return nil
		}
		wake.Reset(r.nextBirthday(now))
		select {
		case a := <-r.answers:
			if err := r.take(a); err != nil {
				return err
			}
		case <-wake.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// younger counts the tries that have run for less than a time.
func (r *race[T]) younger(now time.Time, than time.Duration) (n int) {
	for _, since := range r.running {
		if now.Sub(since) < than {
			n++
		}
	}
	return n
}

// nextBirthday is when the next try outlives a patience.
func (r *race[T]) nextBirthday(now time.Time) time.Duration {
	next := time.Hour // nothing will change by itself any more
	for _, since := range r.running {
		for _, p := range []time.Duration{r.patience, r.last} {
			if left := p - now.Sub(since); left > 0 {
				next = min(next, left)
			}
		}
	}
	return next
}

// launch starts what is missing, given how many tries are fresh.
func (r *race[T]) launch(ctx context.Context, now time.Time, fresh int) {
	for ; len(r.queue) > 0 && len(r.wins)+fresh < r.want; fresh++ {
		r.start(ctx, now, r.queue[0])
		r.queue = r.queue[1:]
	}
	for ; len(r.queue) == 0 && len(r.reserve) > 0 && len(r.wins)+fresh < r.min; fresh++ {
		r.start(ctx, now, r.reserve[0])
		r.reserve = r.reserve[1:]
	}
}

func (r *race[T]) start(ctx context.Context, now time.Time, n fs.NodeInfo) {
	r.running[n.ID] = now
	go func() {
		value, err := r.try(ctx, n)
		r.answers <- answer[T]{n.ID, value, err}
	}()
}

func (r *race[T]) over(now time.Time) bool {
	switch {
	case len(r.wins) >= r.want:
		return true
	case len(r.wins) >= r.min: // launch has started all that may help
		return r.younger(now, max(r.patience, r.last)) == 0
	}
	return len(r.running) == 0
}

// take books an answer; the error is a fatal one.
func (r *race[T]) take(a answer[T]) error {
	delete(r.running, a.node)
	if a.err == nil {
		r.wins = append(r.wins, win[T]{a.node, a.value})
		return nil
	}
	r.losses = append(r.losses, loss{node: a.node, err: a.err})
	if r.fatal(a.err) {
		return a.err
	}
	return nil
}

// await books the tries that were given up and waits for them: they may be reading the caller's bytes.
func (r *race[T]) await() {
	now := time.Now()
	for node, since := range r.running {
		if took := now.Sub(since); took >= r.patience {
			r.losses = append(r.losses, loss{node, fmt.Errorf("no answer within %v: %w", took.Round(time.Millisecond), fs.ErrTimeout), true})
		}
	}
	for range r.running {
		<-r.answers
	}
}
