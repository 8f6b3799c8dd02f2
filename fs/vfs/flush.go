package vfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// flush makes durable what is dirty now, and waits. It holds the operation lock only to pack, so it never sees half of
// what is done under that lock. lost is why some of the data was given up; err is why some still is not durable.
func (n *inode) flush(ctx context.Context, f *FS) (lost, err error) {
	if !n.isUnflushed() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	if err := n.lock(ctx); err != nil {
		return nil, err
	}
	flying := f.launchFor(ctx, []*inode{n}, (*segments).takeAll)
	n.unlock()
	return await(ctx, flying)
}

// flushed is flush for those to whom lost data is an error as well.
func (n *inode) flushed(ctx context.Context, f *FS) error {
	lost, err := n.flush(ctx, f)
	return cmp.Or(err, lost)
}

// drain is flush for who holds the operation lock.
func (n *inode) drain(ctx context.Context, f *FS) (lost, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	return await(ctx, f.launchFor(ctx, []*inode{n}, (*segments).takeAll))
}

// drained is drain for those to whom lost data is an error as well.
func (n *inode) drained(ctx context.Context, f *FS) error {
	lost, err := n.drain(ctx, f)
	return cmp.Or(err, lost)
}

// awaitFlights waits until all that flies now has landed or is lost.
func (n *inode) awaitFlights(ctx context.Context) error {
	n.mu.Lock()
	flying := slices.Clone(n.flights)
	n.mu.Unlock()
	_, err := await(ctx, flying)
	return err
}

// await waits until flights have landed or are lost; see flush.
func await(ctx context.Context, flying []*flight) (lost, err error) {
	for _, fl := range flying {
		if err := fl.job.awaitDone(ctx); err != nil {
			return lost, fmt.Errorf("flush inode %d: %w", fl.n.ino, err)
		}
		fl.n.mu.Lock()
		lost = cmp.Or(lost, fl.lost)
		fl.n.mu.Unlock()
	}
	return lost, nil
}

func (j *job) awaitDone(ctx context.Context) error {
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
	}
	err := ctx.Err()
	if cause := j.why(); cause != nil && !errors.Is(err, context.Canceled) {
		err = cause
	}
	return unavailable(err)
}

// Sync flushes everything that this mount has written. An error says that some of it is not durable yet, or that some
// was lost since the last Sync.
func (f *FS) Sync(ctx context.Context) error {
	return cmp.Or(f.flushAll(ctx), f.losses.report())
}

func (f *FS) flushAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	lost, err := await(ctx, f.launchFor(ctx, f.dirty.all(), (*segments).takeAll))
	return cmp.Or(err, lost)
}

// flushLoop flushes what is old enough, until ctx ends.
func (f *FS) flushLoop(ctx context.Context) {
	tick := time.NewTicker(max(f.cfg.FlushAge/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.flushOld()
		case <-ctx.Done():
			return
		}
	}
}

// flushOld launches what has been dirty for FlushAge, many inodes together.
func (f *FS) flushOld() {
	var old []*inode
	limit := f.cfg.Now().Add(-f.cfg.FlushAge)
	for _, n := range f.dirty.all() {
		n.mu.Lock()
		if n.waiting() && !n.born.After(limit) && len(n.flights) < flightsByAge {
			old = append(old, n)
		}
		n.mu.Unlock()
	}
	if len(old) > 0 {
		f.launch(old, (*segments).takeAll)
	}
}

// relieve is called by a writer that finds no room: if nothing is on its way, everything is sent.
func (f *FS) relieve() {
	inodes := f.dirty.all()
	for _, n := range inodes {
		n.mu.Lock()
		flying := len(n.flights) > 0
		n.mu.Unlock()
		if flying {
			return // room is being made, and better in full blobs
		}
	}
	f.launch(inodes, (*segments).takeAll)
}
