package vfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"dfs/blob"
	"dfs/fs"
	"dfs/fs/spans"
)

var errClosing = fmt.Errorf("the mount was closed before the data could be flushed: %w", fs.ErrClosed)

// rebuildsMax bounds how often a job is rebuilt after refusals that are nobody's fault (an operator's abort).
const rebuildsMax = 8

// job is one flush transaction on its way: parts of several inodes, at most one blob. Only one that touches too many
// extents becomes several transactions, one after the other, each with a blob of its own. See DESIGN.md for its states.
type job struct {
	r     *registration // nil if it was packed while there was no session
	parts []*part       // those that are neither decided nor refused
	after []*job        // to be finished before this one is decided
	bytes int64
	ops   int    // the fewest that it may need
	span  uint64 // the longest run that one Write operation may map; 0: any
	limit int    // the most Write operations in one transaction; 0: any
	done  chan struct{}

	parent trace.SpanContext // the request that it was launched for, if it is traced

	mu    sync.Mutex
	cause error // why it is still flying
}

// part is what a job carries of one inode.
type part struct {
	n      *inode
	flight *flight
	size   uint64 // of the file, as it was packed
	// decided is the offset up to which the flight's segments have been, where the job takes several transactions.
	decided uint64
}

func newJob(r *registration) *job { return &job{r: r, done: make(chan struct{})} }

// fly carries j to its end.
func (f *FS) fly(j *job) {
	err := f.tryFly(f.life, j)
	if f.life.Err() != nil && err != nil {
		err = errClosing
	}
	j.finishAll(f, err)
}

// tryFly attempts j until all of its parts are finished; an error concerns those that are left.
func (f *FS) tryFly(ctx context.Context, j *job) error {
	if j.r == nil {
		r, err := f.sessions.wait(ctx)
		if err != nil {
			return err
		}
		j.r = r
	}
	var wait backoff
	for rebuilt := 0; len(j.parts) > 0; {
		l := f.build(j)
		d := f.attempt(ctx, j, l)
		switch {
		case errors.Is(d.err, fs.ErrAborted) && rebuilt < rebuildsMax:
			rebuilt++
			f.log.Warn("a flush was aborted by somebody else; flushing under a new id", "err", d.err)
		case d.err == nil && d.result.Err == fs.CodeConflict && d.result.Failed >= len(l.ops):
			// Since the votes were given a node was removed, or one came and more are needed. The news of it is under way.
			f.delayed(j, fmt.Errorf("too few votes count, the blob is staged anew: %w", fs.ErrConflict))
			wait.sleep(ctx, j.r.over)
		case errors.Is(d.err, fs.ErrFenced):
			f.fenced(j.r)
			return d.err
		case d.err != nil:
			return d.err
		case d.result.Err == fs.CodeOK:
			f.land(j, l, d.result)
		default:
			if err := f.refused(j, l, d.result); err != nil {
				return err
			}
		}
	}
	return nil
}

// attempt is one transaction: PREPARE and DECIDE.
func (f *FS) attempt(ctx context.Context, j *job, l *load) (d decision) {
	id := j.r.begin()
	defer j.r.end(id) // it has an outcome, or was never sent, or the session is over
	ctx = fs.WithRequestID(spans.Under(ctx, j.parent), "tx-"+id.String())
	ctx, s := spans.Begin(ctx, f.cfg.Tracer, "flush transaction", trace.SpanKindInternal)
	s.Number("bytes", j.bytes)
	defer func() { s.End(d.err) }()
	infos, err := f.prepareTraced(ctx, j, id, l)
	if err != nil {
		return decision{err: err}
	}
	if err := j.await(ctx); err != nil {
		return decision{err: err}
	}
	ctx, decide := spans.Start(ctx, "decide", trace.SpanKindInternal)
	c := fs.LeaseCall{Stray: !f.leases.allExclusive(claimed(l.ops))}
	if c.Stray {
		l.strayed()
	}
	d = f.decide(ctx, j.r, j.r.tx(id, l.ops, infos), c, "flush.decide", func(err error) { f.delayed(j, err) })
	decide.End(d.err)
	return d
}

func (f *FS) prepareTraced(ctx context.Context, j *job, id fs.TxID, l *load) ([]fs.BlobInfo, error) {
	ctx, s := spans.Start(ctx, "prepare", trace.SpanKindInternal)
	infos, err := f.prepare(ctx, j, id, l)
	s.End(err)
	return infos, err
}

// prepare stages the blob, if there is one, until enough nodes have voted yes.
func (f *FS) prepare(ctx context.Context, j *job, id fs.TxID, l *load) ([]fs.BlobInfo, error) {
	if l.blob == nil {
		return nil, nil
	}
	var wait backoff
	for {
		nodes, err := f.stage(ctx, blob.Tx{ID: id, Epoch: j.r.Epoch}, l.blob)
		if err == nil {
			return []fs.BlobInfo{l.blob.Info(nodes)}, nil
		}
		err = fmt.Errorf("stage blob %s: %w", l.blob.ID, err)
		switch {
		case !transient(err):
			return nil, err
		case j.r.ended():
			return nil, fs.ErrFenced
		case ctx.Err() != nil:
			return nil, err
		}
		f.delayed(j, err)
		wait.sleep(ctx, j.r.over)
	}
}

// stage is one attempt, side by side with few others.
func (f *FS) stage(ctx context.Context, tx blob.Tx, b *blob.Blob) ([]fs.NodeID, error) {
	select {
	case f.stages <- struct{}{}:
		defer func() { <-f.stages }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := f.cfg.Faults.At("flush.prepare.before"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	nodes, err := f.blobs.Stage(ctx, tx, b)
	if err != nil {
		return nil, err
	}
	return nodes, f.cfg.Faults.At("flush.prepare.after")
}

// await waits until all that must be decided before j is finished.
func (j *job) await(ctx context.Context) error {
	for _, other := range j.after {
		select {
		case <-other.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// delayed notes why j is still flying, for those who wait for it.
func (f *FS) delayed(j *job, cause error) {
	j.mu.Lock()
	first := j.cause == nil
	j.cause = cause
	j.mu.Unlock()
	level := slog.LevelDebug
	if first { // one warning a job is enough
		level = slog.LevelWarn
	}
	f.log.Log(f.life, level, "a flush fails and is tried again", "bytes", j.bytes, "err", cause)
}

func (j *job) why() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cause
}
