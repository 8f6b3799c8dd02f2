package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dfs/test/harness"
	"dfs/test/torture"
)

var (
	tortureOps       = flag.Int("torture.ops", 0, "torture for so many operations, instead of each fault once (200000 take about half an hour)")
	tortureSeed      = flag.Uint64("torture.seed", 0, "make the same operations and faults as a run that has printed this seed (default: by chance)")
	tortureFault     = flag.String("torture.fault", "", "only faults whose name contains this, and with them no rounds without a fault")
	torturePublished = flag.Bool("torture.published", false, "hold the mounts only to what was fsynced, and not to being as one machine")
)

// The sizes of a round. Phases are what happens before a fault, while it is there, at its end, and after it.
const (
	tortureSession   = 3 * time.Second // of the cluster: a mount that is silent for longer loses its session
	torturePhases    = 4
	torturePerPhase  = 15                     // operations of each worker
	tortureBeforeEnd = 100 * time.Millisecond // how long before a fault's end the workers get more to do
	tortureRoundsMax = 12                     // rounds in which a planted bug must be found
)

// torment is a cluster, two mounts on hosts of their own, and the workers on them.
type torment struct {
	t        *testing.T
	cluster  *harness.Cluster
	fabric   *harness.Fabric
	mounts   [torture.Mounts]*harness.Mount
	crew     *torture.Crew
	plan     torture.Plan
	chance   *rand.Rand
	rounds   int
	faults   map[string]int
	tally    torture.Tally
	reported int                // violations
	pending  chan torture.Tally // of the round before, which is checked while this one runs
}

func newTorment(t *testing.T) *torment {
	seed := *tortureSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	promise := torture.Coherent
	if *torturePublished {
		promise = torture.Published
	}
	t.Logf("-torture.seed %d", seed)
	return &torment{t: t, plan: torture.Plan{Seed: seed, Promise: promise}, chance: rand.New(rand.NewPCG(seed, 1<<32)), faults: map[string]int{}}
}

func mountHost(mount int) string { return fmt.Sprintf("mount%d", mount) }

// staff starts the workers; they end before the mounts do.
func (s *torment) staff() {
	s.t.Helper()
	crew, err := torture.NewCrew([torture.Mounts]string{s.mounts[0].Dir, s.mounts[1].Dir}, s.plan.Promise)
	if err != nil {
		s.t.Fatal(err)
	}
	s.crew = crew
	s.t.Cleanup(func() {
		if err := crew.Close(); err != nil {
			s.t.Error(err)
		}
	})
}

func TestTorture_TwoMountsAreAsOneMachine(t *testing.T) {
	s := newTorment(t)
	s.cluster, s.fabric = harness.StartNetnsCluster(t, 3, "--session-timeout", tortureSession.String())
	for m := range s.mounts {
		s.mounts[m] = s.cluster.MountAt(mountHost(m))
	}
	s.staff()
	began := time.Now()
	faults := slices.DeleteFunc(everyFault(), func(f fault) bool { return !strings.Contains(f.name, *tortureFault) })
	for i := 0; *tortureOps == 0 && i < len(faults) || s.tally.Total() < *tortureOps; i++ {
		s.round(faults[i%len(faults)])
		s.report()
	}
	s.collect()
	took := time.Since(began)
	s.tally.Settle()
	s.report()
	t.Logf("%d operations in %s, %.0f a second, %d rounds; %d stale, %d twice, %d unsettled, %d undecided", s.tally.Total(), took.Round(time.Millisecond),
		float64(s.tally.Total())/took.Seconds(), s.rounds, s.tally.Stale, s.tally.Twice, s.tally.Unsettled, len(s.tally.Undecided()))
	t.Logf("operations: %v", s.tally.Ops)
	t.Logf("faults: %v", s.faults)
	t.Logf("violations: %d", len(s.tally.Violations))
	for _, h := range s.tally.Undecided() {
		t.Logf("not checked in time: %s", h)
	}
	if len(s.tally.Undecided()) > 1+s.rounds/200 {
		t.Errorf("%d histories could not be checked in time", len(s.tally.Undecided()))
	}
	if s.tally.Stale > s.tally.Total()/50 {
		t.Errorf("%d calls were told ESTALE", s.tally.Stale)
	}
}

// round is one round under a fault.
func (s *torment) round(f fault) {
	s.t.Helper()
	s.faults[f.name]++
	s.rounds++
	dir := fmt.Sprintf("r%d", s.rounds)
	s.must(s.crew.Make(dir))
	s.must(s.crew.Enter(dir))
	round := s.play(f)
	looks, err := s.crew.Look()
	s.must(err)
	round.Records = append(round.Records, looks...)
	s.must(s.crew.Leave())
	if f.begin != nil {
		s.cluster.WaitFormed(len(s.cluster.Nodes))
	}
	s.check(round)
}

// play has the workers do what the plan says, and breaks something meanwhile.
func (s *torment) play(f fault) *torture.Round {
	s.t.Helper()
	mount := s.chance.IntN(torture.Mounts)
	round := &torture.Round{Number: s.rounds, Fault: torture.Fault{Name: f.name, Ends: -1}}
	if f.ends {
		round.Fault.Ends = mount
	}
	phases := s.plan.Round(s.rounds, torturePhases, torturePerPhase)
	round.Records = s.done(s.crew.Start(phases[0]))
	shifts := []*torture.Shift{s.crew.Start(phases[1])}
	mend := func() {}
	if f.begin != nil {
		round.Fault.From = torture.Now()
		mend = f.begin(s, mount)
		time.Sleep(f.lasts) // the fault's length: nothing is waited for by it
	}
	shifts = append(shifts, s.crew.Start(phases[2]))
	if f.begin != nil {
		time.Sleep(tortureBeforeEnd) // likewise
		round.Fault.To = torture.Now()
	}
	mend()
	for _, shift := range append(shifts, s.crew.Start(phases[3])) {
		round.Records = append(round.Records, s.done(shift)...)
	}
	return round
}

func (s *torment) done(shift *torture.Shift) []torture.Record {
	s.t.Helper()
	records, err := shift.Wait()
	s.must(err)
	return records
}

func (s *torment) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("round %d: %v", s.rounds, err)
	}
}

// check checks a round while the next one runs.
func (s *torment) check(round *torture.Round) {
	s.collect()
	pending := make(chan torture.Tally, 1)
	s.pending = pending
	go func() { pending <- torture.Check(s.plan.Promise, round) }()
}

// collect waits for the check of the last round.
func (s *torment) collect() {
	if s.pending != nil {
		s.tally.Add(<-s.pending)
		s.pending = nil
	}
}

// report tells of violations as soon as they are known; after ten it gives up.
func (s *torment) report() {
	s.t.Helper()
	for ; s.reported < len(s.tally.Violations); s.reported++ {
		s.t.Error(s.tally.Violations[s.reported])
	}
	if s.reported >= 10 {
		s.t.Fatal("that is enough")
	}
	if s.rounds%200 == 0 {
		s.t.Logf("round %d, %d operations", s.rounds, s.tally.Total())
	}
}

func TestTorture_FindsStaleCaches(t *testing.T) {
	c := harness.StartCluster(t, 1)
	s := newTorment(t)
	s.cluster = c
	s.mounts[0] = c.Mount()
	s.mounts[1] = c.MountBy("/proc/self/exe", []string{staleEnv + "=1"})
	s.staff()
	for len(s.tally.Violations) == 0 && s.rounds < tortureRoundsMax {
		s.round(fault{name: "none"})
		s.collect()
	}
	if len(s.tally.Violations) == 0 {
		t.Fatalf("%d operations on a mount whose kernel is not told what is taken back, and nothing was found", s.tally.Total())
	}
	t.Logf("found in round %d:\n%s", s.rounds, s.tally.Violations[0])
}
