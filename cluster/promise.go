package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dfs/fs"
)

// Verdict is a candidate's answer to a proposal.
type Verdict int

// The verdicts that are not yes.
const (
	VerdictLater   Verdict = iota + 1 // not as things look now; ask again
	VerdictBound                      // it has promised another proposal, for good
	VerdictMember                     // it belongs to, or has met, a cluster
	VerdictInvalid                    // never
)

// RefusalError is why a candidate does not promise.
type RefusalError struct {
	Verdict Verdict
	Reason  string
	Held    *Proposal // of VerdictBound
	Cluster string    // of VerdictMember
}

func (e *RefusalError) Error() string { return e.Reason }

// Unwrap makes a refusal an fs.ErrConflict, or fs.ErrWrongCluster, fs.ErrInvalid.
func (e *RefusalError) Unwrap() error {
	switch e.Verdict {
	case VerdictMember:
		return fs.ErrWrongCluster
	case VerdictInvalid:
		return fs.ErrInvalid
	}
	return fs.ErrConflict
}

func refusal(v Verdict, format string, args ...any) *RefusalError {
	return &RefusalError{Verdict: v, Reason: fmt.Sprintf(format, args...)}
}

// View is what a candidate sees of the others; a [Ring] is one.
type View interface {
	Details() []Member
	Changed() <-chan struct{}
	SeenCluster() string
}

// reservation keeps a candidate that has said yes to one proposal from saying yes to another one at the same time. It
// binds nobody: it makes it unlikely that two proposals each get some promises and neither gets all. Proposals of the
// same founders come from the same proposer and are no rivals.
const reservation = 10 * time.Second

// promiser is the passive half of the bootstrap: it answers proposals, and keeps the promise.
type promiser struct {
	self   Founder
	expect int
	view   View
	file   promiseFile

	mu       sync.Mutex
	held     *Proposal // on disk; never replaced once set
	broken   error     // the disk failed: what is on it is unknown, so nothing is promised any more
	reserved *Proposal
	until    time.Time     // of the reservation
	bound    chan struct{} // closed when held is set or the disk has failed
}

func openPromiser(self Founder, expect int, view View, file promiseFile) (*promiser, error) {
	held, err := file.load()
	if err != nil {
		return nil, err
	}
	p := &promiser{self: self, expect: expect, view: view, file: file, held: held, bound: make(chan struct{})}
	if held != nil {
		close(p.bound)
	}
	return p, nil
}

// promise answers a proposal. With bind it is for life: when it returns nil the promise is on disk. Without bind it says
// whether it would promise as things look now. It may be repeated. The error is a *RefusalError, or the disk's.
func (p *promiser) promise(_ context.Context, prop *Proposal, bind bool) error {
	if err := prop.validate(); err != nil {
		return refusal(VerdictInvalid, "%v", err)
	}
	if !slices.Contains(prop.Founders, p.self) {
		return refusal(VerdictInvalid, "node %s at %s is not among the founders of %s", p.self.ID, p.self.Addr, prop)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return fmt.Errorf("node %s cannot promise: %w", p.self.ID, p.broken)
	}
	if seen := p.view.SeenCluster(); seen != "" {
		r := refusal(VerdictMember, "node %s belongs to cluster %s, or is about to join it", p.self.ID, seen)
		r.Cluster = seen
		return r
	}
	switch {
	case p.held == nil:
	case p.held.Equal(prop):
		return nil
	default:
		r := refusal(VerdictBound, "node %s has promised to found %s", p.self.ID, p.held)
		r.Held = p.held
		return r
	}
	if len(prop.Founders) != p.expect {
		return refusal(VerdictInvalid, "node %s was started with --bootstrap-expect %d, the proposal is for %d", p.self.ID, p.expect, len(prop.Founders))
	}
	if bind {
		return p.bind(prop)
	}
	return p.reserve(prop)
}

// bind writes the promise. What the view says no longer counts here: the proposer is bound already, and a refusal for
// the view's sake could leave it stuck. The caller holds mu.
func (p *promiser) bind(prop *Proposal) error {
	keep := &Proposal{Cluster: prop.Cluster, Founders: slices.Clone(prop.Founders)}
	if err := p.file.save(keep); err != nil {
		p.broken = fmt.Errorf("promise of node %s may or may not be on disk: %w", p.self.ID, err)
		close(p.bound)
		return p.broken
	}
	p.held = keep
	close(p.bound)
	return nil
}

// reserve says whether prop agrees with what this candidate sees. The caller holds mu.
func (p *promiser) reserve(prop *Proposal) error {
	now := time.Now()
	if p.reserved != nil && now.Before(p.until) && !slices.Equal(p.reserved.Founders, prop.Founders) {
		return refusal(VerdictLater, "node %s is being asked about %s", p.self.ID, p.reserved)
	}
	lowest, problem := muster(p.view.Details(), p.expect)
	if problem != "" {
		return refusal(VerdictLater, "node %s: %s", p.self.ID, problem)
	}
	if !slices.Equal(lowest, prop.Founders) {
		return refusal(VerdictLater, "node %s sees other candidates (%s) than those of %s", p.self.ID, ids(lowest), prop)
	}
	p.reserved, p.until = prop, now.Add(reservation)
	return nil
}

// release ends a reservation that came to nothing.
func (p *promiser) release(prop *Proposal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reserved == prop {
		p.reserved = nil
	}
}

func (p *promiser) state() (held *Proposal, broken error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held, p.broken
}
