package raftmeta

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"go.opentelemetry.io/otel/trace"

	"dfs/fs"
	"dfs/fs/spans"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

const (
	batchCommands   = 256
	batchBytes      = 1 << 20
	proposalsQueued = 4096 // commands waiting to be packed; more callers wait
	entriesInFlight = 64   // proposed and not answered
)

// proposal is one command on its way into the log.
type proposal struct {
	data   []byte
	term   uint64        // the only term in which it may be applied; 0 for any
	answer chan proposed // buffered: an answer that nobody waits for any more is dropped
	// settled is called once, unless the node stops: when the command has been decided and applied, or when it never will be
	// in its term. It is called before answer is filled, and also if nobody waits for that any more. It must not wait.
	settled func(proposed)
}

type proposed struct {
	answer state.Answer
	index  uint64 // of the log entry; 0 with an error
	err    error
}

// settle ends a proposal.
func (one *proposal) settle(a proposed) {
	if one.settled != nil {
		one.settled(a)
	}
	one.answer <- a
}

// proposer packs commands that wait at the same time into one log entry. A lone command goes at once: while Raft writes
// one entry to disk, the next ones gather here.
type proposer struct {
	n        *Node
	queue    chan *proposal
	inFlight chan struct{}
}

func newProposer(n *Node) *proposer {
	return &proposer{n: n, queue: make(chan *proposal, proposalsQueued), inFlight: make(chan struct{}, entriesInFlight)}
}

// propose has one encoded command decided, in a certain term if that is not 0.
func (p *proposer) propose(ctx context.Context, data []byte, term uint64) (answer state.Answer, err error) {
	a := p.through(ctx, &proposal{data: data, term: term, answer: make(chan proposed, 1)})
	return a.answer, a.err
}

// through takes one proposal through. With an error it may still be decided later; its settled tells.
func (p *proposer) through(ctx context.Context, one *proposal) (a proposed) {
	ctx, s := spans.Start(ctx, "commit and apply", trace.SpanKindInternal)
	defer func() { s.End(a.err) }()
	if err := p.enqueue(ctx, one); err != nil {
		one.settle(proposed{err: err})
		return proposed{err: err}
	}
	select {
	case a := <-one.answer:
		if err := p.n.cfg.Faults.At("propose.after"); err != nil {
			return proposed{err: err}
		}
		return a
	case <-ctx.Done():
		return proposed{err: context.Cause(ctx)}
	case <-p.n.ctx.Done():
		return proposed{err: fmt.Errorf("the node has stopped: %w", fs.ErrUnavailable)}
	}
}

// enqueue hands a proposal to the one goroutine that packs; after an error it has not.
func (p *proposer) enqueue(ctx context.Context, one *proposal) error {
	if len(one.data) > fs.TxBytesMax {
		return fmt.Errorf("a command of %d bytes, at most %d: %w", len(one.data), fs.TxBytesMax, fs.ErrTooLarge)
	}
	if p.n.ctx.Err() != nil {
		return fmt.Errorf("the node has stopped: %w", fs.ErrUnavailable)
	}
	if p.n.raft.Load().State() != raft.Leader {
		return p.n.notLeader()
	}
	if err := p.n.cfg.Faults.At("propose.before"); err != nil {
		return err
	}
	select {
	case p.queue <- one:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run is the one goroutine that packs.
func (p *proposer) run() {
	var carry *proposal
	for {
		first := carry
		if first == nil {
			select {
			case first = <-p.queue:
			case <-p.n.ctx.Done():
				return
			}
		}
		var batch []*proposal
		batch, carry = p.gather(first)
		select {
		case p.inFlight <- struct{}{}:
		case <-p.n.ctx.Done():
			return
		}
		p.send(batch)
	}
}

// gather takes what waits already, as far as it fits; carry is what did not.
func (p *proposer) gather(first *proposal) (batch []*proposal, carry *proposal) {
	batch = []*proposal{first}
	size := len(first.data)
	for len(batch) < batchCommands {
		select {
		case next := <-p.queue:
			if size += len(next.data); size > batchBytes || next.term != first.term {
				return batch, next
			}
			batch = append(batch, next)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// send hands a batch to Raft, which takes it when it has written what came before, and leaves its answer to a goroutine.
func (p *proposer) send(batch []*proposal) {
	encoded := make(command.Batch, len(batch))
	for i, one := range batch {
		encoded[i] = one.data
	}
	entry := raft.Log{Data: command.EncodeBatch(encoded)}
	if term := batch[0].term; term != 0 {
		entry.Extensions = be64(term)
	}
	began := time.Now()
	future := p.n.raft.Load().ApplyLog(entry, p.n.cfg.Timings.Operation)
	p.n.loops.Go(func() {
		p.answer(batch, future, began)
		<-p.inFlight
	})
}

// answer waits for the fate of a batch that was sent at began, and hands it on.
func (p *proposer) answer(batch []*proposal, future raft.ApplyFuture, began time.Time) {
	err := await(p.n.ctx, future)
	var response *applied
	if err == nil {
		response, _ = future.Response().(*applied)
		switch {
		case response == nil:
			err = fmt.Errorf("no answer from the state machine: %w", fs.ErrInternal)
		case response.err != nil:
			err = fmt.Errorf("%w: %w", response.err, fs.ErrUnavailable)
		}
	}
	if err == nil {
		p.n.cfg.Observer.committed(time.Since(began))
	}
	for i, one := range batch {
		if err != nil {
			one.settle(proposed{err: p.n.raftError(err)})
			continue
		}
		one.settle(proposed{answer: response.answers[i], index: future.Index()})
	}
}

// raftError makes one of ours of Raft's errors. Those that leave it open whether the entry will be committed are
// ErrUnavailable.
func (n *Node) raftError(err error) error {
	if errors.Is(err, raft.ErrNotLeader) {
		return n.notLeader()
	}
	if fs.CodeOf(err) != fs.CodeInternal {
		return err
	}
	return fmt.Errorf("%w: %w", err, fs.ErrUnavailable)
}

// ProposeIn has a housekeeping command decided in a term that this node has led in, see Leader; for a transaction use
// Commit. A refusal is in the answer.
//
// The command enters the log in that term or not at all, also after an error: the entry bears the term, and every node
// refuses it if it got into the log in another one.
func (n *Node) ProposeIn(ctx context.Context, term uint64, cmd command.Command) (state.Answer, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, _ := n.leader.get() // a reign that is still to come is none that the caller knows of
	if r == nil || r.term != term {
		return state.Answer{}, n.notLeader()
	}
	return n.proposer.propose(ctx, command.Encode(cmd), term)
}

// await waits for one of Raft's futures, or for ctx. Raft forgets some futures when it is shut down: the goroutine that
// waits for such a one is left behind, for as long as the process lives.
func await(ctx context.Context, future raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- future.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		select {
		case err := <-done:
			return err
		default:
			return context.Cause(ctx)
		}
	}
}

// waitFor is a pause that ends early with ctx.
func waitFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
