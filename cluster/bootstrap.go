package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"dfs/fs"
)

// Times of the bootstrap.
const (
	settleTime    = time.Second // the lowest N must be unchanged for so long
	lookInterval  = 250 * time.Millisecond
	askTimeout    = 3 * time.Second // for one founder's answer
	collectMax    = 2 * time.Second // between rounds of collecting promises
	complainEvery = 30 * time.Second
)

// BootstrapConfig makes a Bootstrap.
type BootstrapConfig struct {
	Node   fs.NodeID
	Addr   string // host:port of RPC and Raft, as the ring gossips it
	Expect int    // number of founders, 1 … ExpectMax
	Dir    string // the node's data directory, which exists
	View   View   // the ring, opened with the same Expect

	// Promise asks a founder, this node excepted; see [PromiseOver].
	Promise func(ctx context.Context, f Founder, p *Proposal, bind bool) error
	// Found makes the cluster: Raft's first configuration with p's founders, durably, and its id. It is called on one
	// founder only, and again with the same proposal after a crash within it.
	Found func(ctx context.Context, p *Proposal) error

	Faults fs.Faults    // steps "promise.*" and "found.before", "found.after"
	Log    *slog.Logger // nil: none
}

// Bootstrap makes a node that has no cluster found one together with others, or notice that there is one to join.
// DESIGN.md has the protocol.
type Bootstrap struct {
	cfg      BootstrapConfig
	log      *slog.Logger
	promiser *promiser

	mu     sync.Mutex
	status string
}

// Outcome is how a Bootstrap ended.
type Outcome struct {
	Cluster string
	Founded bool // by this node; otherwise the cluster is there, to be joined
}

// NewBootstrap reads what the node has promised in an earlier life.
func NewBootstrap(cfg BootstrapConfig) (*Bootstrap, error) {
	if cfg.Expect < 1 || cfg.Expect > ExpectMax {
		return nil, fmt.Errorf("bootstrap-expect %d is not between 1 and %d: %w", cfg.Expect, ExpectMax, fs.ErrInvalid)
	}
	p, err := openPromiser(Founder{cfg.Node, cfg.Addr}, cfg.Expect, cfg.View, promiseFile{cfg.Dir, cfg.Faults})
	if err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	return &Bootstrap{cfg: cfg, log: logger(cfg.Log), promiser: p, status: "starting"}, nil
}

// Promise answers another founder's proposal; see [Service]. It works before, during and after Run.
func (b *Bootstrap) Promise(ctx context.Context, p *Proposal, bind bool) error {
	return b.promiser.promise(ctx, p, bind)
}

// Status says in a sentence what the bootstrap waits for.
func (b *Bootstrap) Status() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// Run blocks until there is a cluster, or ctx ends, or the disk or Found fails: then the node must stop, and may be
// started again.
func (b *Bootstrap) Run(ctx context.Context) (Outcome, error) {
	r := run{Bootstrap: b}
	for {
		if err := ctx.Err(); err != nil {
			return Outcome{}, fmt.Errorf("no cluster yet; %s: %w", b.Status(), err)
		}
		changed := b.cfg.View.Changed()
		held, broken := b.promiser.state()
		if broken != nil {
			return Outcome{}, broken
		}
		if seen := b.cfg.View.SeenCluster(); seen != "" {
			return b.joined(seen, held), nil
		}
		var wait time.Duration
		var err error
		switch {
		case held == nil:
			wait, err = r.propose(ctx)
		case held.Proposer() == b.cfg.Node:
			var out Outcome
			out, wait, err = r.collect(ctx, held)
			if out.Cluster != "" {
				return out, err
			}
		default:
			wait = r.await(held)
		}
		if err != nil {
			return Outcome{}, err
		}
		r.pause(ctx, wait, changed)
	}
}

func (b *Bootstrap) joined(seen string, held *Proposal) Outcome {
	if held != nil && held.Cluster != seen {
		b.log.Warn("joining a cluster other than the one this node had promised to found", "cluster", seen, "promised", held.String())
	}
	b.log.Info("a cluster exists; joining it", "cluster", seen)
	return Outcome{Cluster: seen}
}

// run is the state of one Run that is forgotten with it.
type run struct {
	*Bootstrap
	lowest  []Founder // seen last
	draft   *Proposal // asked about last; kept as long as the founders are the same
	since   time.Time // lowest is unchanged
	rounds  int       // of collecting
	said    string    // logged last
	saidAt  time.Time
	waiting time.Time // promised, since
}

// say sets the status and logs it, at once when it is new and then every complainEvery.
func (r *run) say(level slog.Level, status string) {
	r.mu.Lock()
	r.status = status
	r.mu.Unlock()
	if status != r.said || time.Since(r.saidAt) >= complainEvery {
		r.said, r.saidAt = status, time.Now()
		r.log.Log(context.Background(), level, "bootstrap: "+status)
	}
}

// pause waits; a promise made meanwhile ends it only where there was none before.
func (r *run) pause(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	bound := r.promiser.bound
	if held, _ := r.promiser.state(); held != nil {
		bound = nil
	}
	select {
	case <-ctx.Done():
	case <-changed:
	case <-bound:
	case <-t.C:
	}
}

// propose is the state waiting and, if this node is the lowest of enough candidates, asking.
func (r *run) propose(ctx context.Context) (time.Duration, error) {
	expect := r.cfg.Expect
	lowest, problem := muster(r.cfg.View.Details(), expect)
	if !slices.Equal(lowest, r.lowest) {
		r.lowest, r.since = lowest, time.Now()
	}
	switch {
	case problem != "":
		r.say(slog.LevelWarn, problem)
		return lookInterval, nil
	case len(lowest) < expect:
		r.say(slog.LevelInfo, fmt.Sprintf("waiting for candidates, %d of %d are here (%s)", len(lowest), expect, ids(lowest)))
		return lookInterval, nil
	case lowest[0] != Founder{r.cfg.Node, r.cfg.Addr}:
		r.say(slog.LevelInfo, fmt.Sprintf("waiting for node %s at %s to found the cluster", lowest[0].ID, lowest[0].Addr))
		return lookInterval, nil
	}
	if left := settleTime - time.Since(r.since); left > 0 {
		return min(left, lookInterval), nil
	}
	return r.ask(ctx, lowest)
}

// ask proposes the founders to all of them and binds this node if all agree.
func (r *run) ask(ctx context.Context, founders []Founder) (time.Duration, error) {
	if r.draft == nil || !slices.Equal(r.draft.Founders, founders) {
		r.draft = &Proposal{Cluster: uuid.NewString(), Founders: slices.Clone(founders)}
	}
	prop := r.draft
	start := time.Now()
	if err := joinLine(r.all(ctx, prop, false)); err != nil {
		r.promiser.release(prop)
		r.say(slog.LevelInfo, "not all candidates agree yet: "+err.Error())
		return lookInterval + rand.N(lookInterval), nil
	}
	if time.Since(start) > reservation/2 {
		return 0, nil // what they said is old by now
	}
	err := r.promiser.promise(ctx, prop, true)
	if _, refused := errors.AsType[*RefusalError](err); refused {
		return lookInterval, nil // a cluster, or another proposal, has come up meanwhile
	}
	return 0, err
}

// collect is one round of gathering the binding promises, and the founding if all are there.
func (r *run) collect(ctx context.Context, held *Proposal) (Outcome, time.Duration, error) {
	r.rounds++
	answers := r.all(ctx, held, true)
	for _, err := range answers {
		if ref, ok := errors.AsType[*RefusalError](err); ok && ref.Verdict == VerdictMember && ref.Cluster == held.Cluster {
			return Outcome{Cluster: held.Cluster}, 0, nil // it has been founded, and this node has forgotten
		}
	}
	if err := joinLine(answers); err != nil {
		r.say(slog.LevelWarn, r.stuck(held, err))
		return Outcome{}, min(collectMax, lookInterval*time.Duration(r.rounds)), nil
	}
	if seen := r.cfg.View.SeenCluster(); seen != "" {
		return Outcome{}, 0, nil // Run joins it
	}
	if err := r.found(ctx, held); err != nil {
		return Outcome{}, 0, err
	}
	return Outcome{Cluster: held.Cluster, Founded: true}, 0, nil
}

func (r *run) found(ctx context.Context, held *Proposal) error {
	if err := r.cfg.Faults.At("found.before"); err != nil {
		return err
	}
	r.say(slog.LevelInfo, "founding "+held.String())
	if err := r.cfg.Found(ctx, held); err != nil {
		return fmt.Errorf("found %s: %w", held, err)
	}
	return r.cfg.Faults.At("found.after")
}

// await is the state promised of a node that is not the proposer.
func (r *run) await(held *Proposal) time.Duration {
	if r.waiting.IsZero() {
		r.waiting = time.Now()
	}
	status := fmt.Sprintf("waiting for node %s to found %s", held.Proposer(), held)
	if time.Since(r.waiting) < complainEvery {
		r.say(slog.LevelInfo, status)
	} else {
		r.say(slog.LevelWarn, r.stuck(held, fmt.Errorf("node %s has not founded it yet", held.Proposer())))
	}
	return lookInterval
}

// stuck is what to do when it does not go on.
func (r *run) stuck(held *Proposal, why error) string {
	return fmt.Sprintf("this node has promised to found %s, but: %v. It goes on trying. If a founder is lost for good: "+
		"make sure with `dfs status` that none of the others has formed a cluster, stop them, delete %s in the data directory "+
		"of each, and start them again", held, why, promiseName)
}

// all asks every founder side by side and returns their answers.
func (r *run) all(ctx context.Context, p *Proposal, bind bool) []error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	errs := make([]error, len(p.Founders))
	var wg sync.WaitGroup
	for i, f := range p.Founders {
		wg.Go(func() {
			if f.ID == r.cfg.Node {
				errs[i] = r.promiser.promise(ctx, p, bind)
			} else if err := r.cfg.Promise(ctx, f, p, bind); err != nil {
				errs[i] = fmt.Errorf("ask node %s: %w", f.ID, err)
			}
		})
	}
	wg.Wait()
	return errs
}

// joinLine is errors.Join on one line.
func joinLine(errs []error) error {
	var joined error
	for _, err := range errs {
		switch {
		case err == nil:
		case joined == nil:
			joined = err
		default:
			joined = fmt.Errorf("%w; %w", joined, err)
		}
	}
	return joined
}

func ids(founders []Founder) string {
	s := make([]string, len(founders))
	for i, f := range founders {
		s[i] = string(f.ID)
	}
	return strings.Join(s, ", ")
}
