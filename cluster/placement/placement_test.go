package placement

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dfs/fs"
)

// node is a living node with a free disk and nothing to do.
func node(id string, change ...func(*Candidate)) Candidate {
	c := Candidate{NodeInfo: fs.NodeInfo{ID: fs.NodeID(id), State: fs.NodeAlive, Load: fs.Load{DiskTotalBytes: 1 << 40, DiskFreeBytes: 1 << 39}}}
	for _, f := range change {
		f(&c)
	}
	return c
}

func zone(z string) func(*Candidate)           { return func(c *Candidate) { c.Zone = z } }
func state(s fs.NodeState) func(*Candidate)    { return func(c *Candidate) { c.State = s } }
func cpu(x float64) func(*Candidate)           { return func(c *Candidate) { c.Load.CPU = x } }
func free(b uint64) func(*Candidate)           { return func(c *Candidate) { c.Load.DiskFreeBytes = b } }
func latency(d time.Duration) func(*Candidate) { return func(c *Candidate) { c.Latency = d } }
func busy(n int) func(*Candidate)              { return func(c *Candidate) { c.InFlight = n } }
func readOnly(c *Candidate)                    { c.Load.ReadOnly = true }

// mixed are five nodes of which no two weigh the same.
func mixed() []Candidate {
	return []Candidate{
		node("a"), node("b", cpu(0.5)), node("c", free(1<<38)), node("d", latency(40*time.Millisecond), busy(4)),
		node("e", latency(10*time.Millisecond), func(c *Candidate) { c.Load.Memory = 0.6 }),
	}
}

func ids(cs []Candidate) string {
	var s []string
	for _, c := range cs {
		s = append(s, string(c.ID))
	}
	return strings.Join(s, " ")
}

// chiSquare fails the test if counts are unlikely (p < 0.001) to come from the expected shares.
func chiSquare(t *testing.T, what string, counts []int, want []float64) {
	t.Helper()
	critical := []float64{0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88} // by degrees of freedom
	n, x := 0, 0.0
	for _, c := range counts {
		n += c
	}
	for i, c := range counts {
		e := want[i] * float64(n)
		x += (float64(c) - e) * (float64(c) - e) / e
	}
	if x > critical[len(counts)-1] {
		t.Errorf("%s: counts %v are unlikely for shares %.3f (chi-square %.1f)", what, counts, want, x)
	}
}

func counts(t *testing.T, p Policy, nodes []Candidate, n int) []int {
	t.Helper()
	shares, err := Shares(p, nodes, n, 42)
	if err != nil {
		t.Fatal(err)
	}
	var picks []int
	for _, s := range shares {
		picks = append(picks, s.Picks)
	}
	return picks
}

func TestPolicies_GiveTheSharesThatTheyPromise(t *testing.T) {
	const n = 20_000
	nodes := mixed()
	equal := []float64{0.2, 0.2, 0.2, 0.2, 0.2}
	chiSquare(t, "random", counts(t, Random{}, nodes, n), equal)
	if got := counts(t, RoundRobin{}, nodes, n); !slices.Equal(got, []int{4000, 4000, 4000, 4000, 4000}) {
		t.Errorf("round-robin: %v", got)
	}
	// By hand, from the factors: a 1; b 1-0.8·0.5; c half of the most free; d a quarter as fast, 4 in flight halve by
	// 1+4/8; e 1-0.5·0.6.
	raw := []float64{1, 0.6, 0.5, 0.25 / 1.5, 0.7}
	sum := 0.0
	for _, w := range raw {
		sum += w
	}
	weighted := make([]float64, len(raw))
	for i, w := range raw {
		weighted[i] = w / sum
	}
	chiSquare(t, "weighted", counts(t, Weighted{}, nodes, n), weighted)
	// The r-th best of five wins against those behind it: 2(5-r) of the 20 ordered pairs. Order: a e b c d.
	p2c := make([]float64, 5)
	for r, i := range []int{0, 4, 1, 2, 3} {
		p2c[i] = exploration/5 + (1-exploration)*2*float64(4-r)/20
	}
	chiSquare(t, "p2c", counts(t, P2C{}, nodes, n), p2c)
}

func TestP2C_SplitsEvenlyAmongEquals(t *testing.T) {
	chiSquare(t, "p2c", counts(t, P2C{}, []Candidate{node("a"), node("b"), node("c")}, 9000), []float64{1. / 3, 1. / 3, 1. / 3})
	if got := counts(t, P2C{}, []Candidate{node("a")}, 5); got[0] != 5 {
		t.Errorf("alone: %v", got)
	}
}

func TestPolicies_SpreadThreeReplicasAsADumbEnumerationSays(t *testing.T) {
	nodes := mixed()
	want := make([]float64, len(nodes)) // share of all picks
	enumerate(nodes, nil, 1, 3, want)
	for i := range want {
		want[i] /= 3
	}
	got := make([]int, len(nodes))
	d := NewDraw(7)
	for range 10_000 {
		picked, err := ForWrite(Weighted{}, d, nodes, nil, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range picked {
			got[c.ID[0]-'a']++
		}
	}
	// Picks within a draw exclude each other, which makes the statistic smaller: the test is only stricter to fail.
	chiSquare(t, "three of five", got, want)
}

// enumerate adds to want the probability of each node being picked in k weighted draws without replacement.
func enumerate(nodes []Candidate, taken []int, p float64, k int, want []float64) {
	if k == 0 {
		return
	}
	var rest []Candidate
	var idx []int
	for i, c := range nodes {
		if !slices.Contains(taken, i) {
			rest, idx = append(rest, c), append(idx, i)
		}
	}
	weights := Weights(Write, rest)
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for i, w := range weights {
		want[idx[i]] += p * w / sum
		enumerate(nodes, append(slices.Clone(taken), idx[i]), p*w/sum, k-1, want)
	}
}

func TestPolicies_AreDeterministicUnderASeedAndBlindToOrder(t *testing.T) {
	for _, p := range policies() {
		series := func(seed uint64, nodes []Candidate) string {
			d, s := NewDraw(seed), ""
			for range 50 {
				picked, err := ForWrite(p, d, nodes, nil, 2)
				if err != nil {
					t.Fatal(err)
				}
				s += ids(picked) + "," + ids(ForRead(p, d, nodes)) + ";"
			}
			return s
		}
		shuffled := mixed()
		slices.Reverse(shuffled)
		if series(1, mixed()) != series(1, shuffled) {
			t.Errorf("%s: the same seed gave different series", p.Name())
		}
		if p.Name() != (RoundRobin{}).Name() && series(1, mixed()) == series(2, mixed()) {
			t.Errorf("%s: different seeds gave the same series", p.Name())
		}
	}
}

func TestWeights_NobodyStarves(t *testing.T) {
	nodes := []Candidate{node("a"), node("b", cpu(1), busy(10_000), latency(time.Hour), free(fs.BlobMax)), node("c", latency(time.Millisecond))}
	w := Weights(Write, nodes)
	if w[1] != weightFloor {
		t.Errorf("weights %v", w)
	}
	for _, p := range policies() {
		if got := counts(t, p, nodes, 5000); got[1] < 30 {
			t.Errorf("%s: %v", p.Name(), got)
		}
	}
}

func TestWeights_AreFiniteAndPositiveWhateverTheLoads(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 1, 2}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		var nodes []Candidate
		for i := range 3 {
			nodes = append(nodes, node(fmt.Sprint(i), cpu(odd[rng.IntN(len(odd))]), free([]uint64{0, 1, math.MaxUint64}[rng.IntN(3)]),
				latency([]time.Duration{-1, 0, 1, math.MaxInt64}[rng.IntN(4)]), busy([]int{-5, 0, math.MaxInt}[rng.IntN(3)]),
				func(c *Candidate) {
					c.Load.DiskTotalBytes, c.Fresh, c.Ramp = uint64(rng.IntN(2)), rng.IntN(2) == 0, odd[rng.IntN(len(odd))]
				}))
		}
		for _, use := range []Use{Write, Read} {
			for _, w := range Weights(use, nodes) {
				if !(w >= weightFloor && w <= 1) {
					t.Fatalf("weights %v of %+v", Weights(use, nodes), nodes)
				}
			}
		}
	}
}

func TestWeights_ANewEmptyNodeIsNotStampeded(t *testing.T) {
	at := func(age float64) float64 {
		fresh := func(c *Candidate) { c.Fresh, c.Ramp = age < 1, age }
		w := Weights(Write, []Candidate{node("old", free(1<<36)), node("new", free(1<<40), fresh)})
		return w[1] / (w[0] + w[1])
	}
	if s := at(0); s > 0.5 {
		t.Errorf("at once it gets %.2f of the writes", s)
	}
	last := 0.0
	for _, age := range []float64{0.1, 0.3, 0.6, 1} {
		if s := at(age); s <= last {
			t.Errorf("at %v of the ramp it gets %.2f, before it got %.2f", age, s, last)
		} else {
			last = s
		}
	}
	if last < 0.9 {
		t.Errorf("in the end it gets %.2f", last)
	}
	reads := Weights(Read, []Candidate{node("old", free(1<<36)), node("new", free(1<<40), func(c *Candidate) { c.Fresh = true })})
	if reads[0] != reads[1] {
		t.Errorf("reads: %v", reads)
	}
}

func TestForWrite_SpreadsOverZones(t *testing.T) {
	nodes := []Candidate{
		node("a1", zone("a")), node("a2", zone("a")), node("a3", zone("a")), node("a4", zone("a")),
		node("b1", zone("b"), cpu(1)), node("c1", zone("c"), free(fs.BlobMax)),
	}
	for _, p := range policies() {
		d := NewDraw(3)
		for range 200 {
			for n, want := range map[int]int{1: 1, 2: 2, 3: 3, 5: 3} {
				picked, err := ForWrite(p, d, nodes, nil, n)
				if err != nil {
					t.Fatal(err)
				}
				zones, distinct := map[string]bool{}, map[fs.NodeID]bool{}
				for _, c := range picked {
					zones[c.Zone], distinct[c.ID] = true, true
				}
				if len(zones) != want || len(distinct) != n || len(picked) != n {
					t.Fatalf("%s: %d replicas on %s", p.Name(), n, ids(picked))
				}
			}
			picked, err := ForWrite(p, d, nodes, []fs.NodeID{"a1", "b1"}, 1)
			if err != nil || ids(picked) != "c1" {
				t.Fatalf("%s: a third replica on %s, %v", p.Name(), ids(picked), err)
			}
			picked, err = ForWrite(p, d, nodes, []fs.NodeID{"a1", "b1", "c1"}, 6)
			if err != nil || len(picked) != 3 || slices.ContainsFunc(picked, func(c Candidate) bool { return c.Zone != "a" || c.ID == "a1" }) {
				t.Fatalf("%s: what is left is %s, %v", p.Name(), ids(picked), err)
			}
		}
	}
}

func TestForWrite_LeavesOutWhatCannotTakeWritesAndTakesSuspectsLast(t *testing.T) {
	nodes := []Candidate{
		node("dead", state(fs.NodeDead)), node("left", state(fs.NodeLeft)), node("ro", readOnly), node("full", free(fs.BlobMax-1)),
		node("suspect", state(fs.NodeSuspect), zone("other")), node("unknown", state(fs.NodeUnknown)), node("ok1"), node("ok2"),
	}
	for _, p := range policies() {
		d := NewDraw(1)
		for range 100 {
			picked, err := ForWrite(p, d, nodes, nil, 10)
			if err != nil || len(picked) != 4 {
				t.Fatalf("%s: %s, %v", p.Name(), ids(picked), err)
			}
			if a, b := picked[0].ID, picked[1].ID; !strings.HasPrefix(string(a), "ok") || !strings.HasPrefix(string(b), "ok") {
				t.Fatalf("%s: the first are %s", p.Name(), ids(picked))
			}
		}
	}
	unreported := node("young")
	unreported.Load = fs.Load{}
	if picked, err := ForWrite(Random{}, NewDraw(1), []Candidate{unreported}, nil, 1); err != nil || len(picked) != 1 {
		t.Errorf("a node without a report: %v, %v", picked, err)
	}
}

func TestForWrite_SaysWhyThereIsNobody(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []Candidate
		have  []fs.NodeID
		want  error
	}{
		"nobody":             {nil, nil, fs.ErrUnavailable},
		"all dead":           {[]Candidate{node("a", state(fs.NodeDead)), node("b", state(fs.NodeLeft))}, nil, fs.ErrUnavailable},
		"all full":           {[]Candidate{node("a", readOnly), node("b", free(0)), node("c", state(fs.NodeDead))}, nil, fs.ErrNoSpace},
		"all have it":        {[]Candidate{node("a")}, []fs.NodeID{"a"}, fs.ErrUnavailable},
		"dead and read-only": {[]Candidate{node("a", readOnly, state(fs.NodeDead))}, nil, fs.ErrUnavailable},
	} {
		if picked, err := ForWrite(Random{}, NewDraw(1), c.nodes, c.have, 1); !errors.Is(err, c.want) || len(picked) != 0 {
			t.Errorf("%s: %v, %v", name, picked, err)
		}
	}
}

func TestForRead_AsksTheLivingFirstAndEverybodyInTheEnd(t *testing.T) {
	nodes := []Candidate{node("d", state(fs.NodeDead)), node("s", state(fs.NodeSuspect)), node("a", readOnly), node("b"), node("l", state(fs.NodeLeft))}
	for _, p := range policies() {
		d := NewDraw(1)
		firsts := map[fs.NodeID]int{}
		for range 100 {
			order := ForRead(p, d, nodes)
			firsts[order[0].ID]++
			if len(order) != 5 || rank(order[1].State) != 0 || order[2].ID != "s" {
				t.Fatalf("%s: %s", p.Name(), ids(order))
			}
		}
		if firsts["a"] < 20 || firsts["b"] < 20 {
			t.Errorf("%s: asked first: %v", p.Name(), firsts)
		}
	}
	if order := ForRead(Random{}, NewDraw(1), nil); len(order) != 0 {
		t.Errorf("of nobody: %v", order)
	}
}

func TestRoundRobin_TakesTurnsAlthoughNodesComeAndGo(t *testing.T) {
	d, got := NewDraw(1), ""
	for i := range 8 {
		nodes := []Candidate{node("a"), node("b"), node("c")}
		if i >= 4 {
			nodes = []Candidate{node("a"), node("c"), node("d")}
		}
		picked, err := ForWrite(RoundRobin{}, d, nodes, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		got += ids(picked)
	}
	if got != "abcacdac" {
		t.Errorf("got %s", got)
	}
	d, got = NewDraw(1), ""
	for range 4 {
		got += string(ForRead(RoundRobin{}, d, []Candidate{node("a"), node("b"), node("c")})[0].ID)
	}
	if got != "abca" {
		t.Errorf("reads: %s", got)
	}
}

func TestParse_KnowsThePoliciesAndNamesThem(t *testing.T) {
	for _, name := range []string{"random", "round-robin", "weighted", "p2c"} {
		if p, err := Parse(name); err != nil || p.Name() != name {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	_, err := Parse("best")
	if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "random, round-robin, weighted, p2c") {
		t.Errorf("got %v", err)
	}
}
