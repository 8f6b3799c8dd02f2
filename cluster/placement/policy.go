package placement

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"dfs/fs"
)

// Policy picks one of several nodes that the hard rules leave.
type Policy interface {
	// Name is what Parse knows it by.
	Name() string
	// Pick returns the index of one of nodes, which are not empty and ordered by id. It may advance d.
	Pick(d *Draw, use Use, nodes []Candidate) int
}

// Draw is the chance and the memory of a series of picks.
type Draw struct {
	Rand *rand.Rand
	// Turn is the node that round-robin picked last.
	Turn fs.NodeID
}

// NewDraw starts a series; the same seed gives the same series.
func NewDraw(seed uint64) *Draw { return &Draw{Rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))} }

// The policies.
var (
	_ Policy = Random{}
	_ Policy = RoundRobin{}
	_ Policy = Weighted{}
	_ Policy = P2C{}
)

// policies lists them in the order in which they are named to users.
func policies() []Policy { return []Policy{Random{}, RoundRobin{}, Weighted{}, P2C{}} }

// Names are the names that Parse knows.
func Names() []string {
	var names []string
	for _, p := range policies() {
		names = append(names, p.Name())
	}
	return names
}

// Parse finds a policy by its name; fs.ErrInvalid, naming them all, if there is none.
func Parse(name string) (Policy, error) {
	for _, p := range policies() {
		if p.Name() == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no placement policy %q; there are %s: %w", name, strings.Join(Names(), ", "), fs.ErrInvalid)
}

// Random gives every node the same chance.
type Random struct{}

// Name is "random".
func (Random) Name() string { return "random" }

// Pick implements Policy.
func (Random) Pick(d *Draw, _ Use, nodes []Candidate) int { return d.Rand.IntN(len(nodes)) }

// RoundRobin takes the nodes in turn, in the order of their ids: the next after the one picked last, whoever has come
// or gone since.
type RoundRobin struct{}

// Name is "round-robin".
func (RoundRobin) Name() string { return "round-robin" }

// Pick implements Policy.
func (RoundRobin) Pick(d *Draw, _ Use, nodes []Candidate) int {
	next := 0
	for i := range nodes {
		if nodes[i].ID > d.Turn {
			next = i
			break
		}
	}
	d.Turn = nodes[next].ID
	return next
}

// Weighted gives each node a chance in proportion to its weight; see [Weights].
type Weighted struct{}

// Name is "weighted".
func (Weighted) Name() string { return "weighted" }

// Pick implements Policy.
func (Weighted) Pick(d *Draw, use Use, nodes []Candidate) int {
	weights := Weights(use, nodes)
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	x := d.Rand.Float64() * sum
	for i, w := range weights {
		if x < w {
			return i
		}
		x -= w
	}
	return len(nodes) - 1 // rounding
}

// P2C, the power of two choices (Mitzenmacher 1996), takes two nodes at random and of them the one of greater weight.
// It needs no exact loads: it only has to avoid the worse of two.
type P2C struct{}

// exploration is the share of picks in which P2C takes a node at random, so that the worst is not starved.
const exploration = weightFloor

// Name is "p2c".
func (P2C) Name() string { return "p2c" }

// Pick implements Policy.
func (P2C) Pick(d *Draw, use Use, nodes []Candidate) int {
	n := len(nodes)
	if n == 1 {
		return 0
	}
	if d.Rand.Float64() < exploration {
		return d.Rand.IntN(n)
	}
	a := d.Rand.IntN(n)
	b := (a + 1 + d.Rand.IntN(n-1)) % n
	weights := Weights(use, nodes)
	if weights[b] > weights[a] {
		return b
	}
	return a
}
