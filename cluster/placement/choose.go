package placement

import (
	"cmp"
	"fmt"
	"slices"

	"dfs/fs"
)

// ForWrite picks at most n distinct nodes for new replicas, best spread over zones, none of which is in have: the nodes,
// out of nodes, that hold a replica already (their zones count) or must not be used. It returns fewer than n when there
// are fewer; whether those are enough is for the caller to say. With none at all the error is fs.ErrNoSpace if there are
// living nodes and all are full or read-only, otherwise fs.ErrUnavailable.
func ForWrite(p Policy, d *Draw, nodes []Candidate, have []fs.NodeID, n int) ([]Candidate, error) {
	zones := make(map[string]int) // replicas by zone
	var first, last []Candidate
	full := 0
	for _, c := range ordered(nodes) {
		if slices.Contains(have, c.ID) {
			zones[c.Zone]++
			continue
		}
		ok, isFull := writable(&c)
		switch {
		case isFull:
			full++
		case !ok:
		case c.State == fs.NodeAlive:
			first = append(first, c)
		default:
			last = append(last, c)
		}
	}
	var picked []Candidate
	for _, pool := range [][]Candidate{first, last} {
		for len(picked) < n && len(pool) > 0 {
			i := pickSpread(p, d, pool, zones)
			zones[pool[i].Zone]++
			picked = append(picked, pool[i])
			pool = slices.Delete(pool, i, i+1)
		}
	}
	if len(picked) == 0 && n > 0 {
		return nil, noneFor(len(nodes), full)
	}
	return picked, nil
}

func noneFor(nodes, full int) error {
	if full > 0 {
		return fmt.Errorf("%d of %d nodes are full or read-only, and no other can take a write: %w", full, nodes, fs.ErrNoSpace)
	}
	return fmt.Errorf("none of %d nodes is alive to take a write: %w", nodes, fs.ErrUnavailable)
}

// pickSpread lets the policy pick among the nodes whose zones have the fewest replicas so far.
func pickSpread(p Policy, d *Draw, pool []Candidate, zones map[string]int) int {
	fewest := zones[pool[0].Zone]
	for i := range pool {
		fewest = min(fewest, zones[pool[i].Zone])
	}
	var idx []int
	var among []Candidate
	for i := range pool {
		if zones[pool[i].Zone] == fewest {
			idx = append(idx, i)
			among = append(among, pool[i])
		}
	}
	return idx[p.Pick(d, Write, among)]
}

// ForRead returns all nodes in the order in which to ask them: the living by policy, then the suspect, then the dead,
// about whom gossip may be wrong.
func ForRead(p Policy, d *Draw, nodes []Candidate) []Candidate {
	var pools [3][]Candidate
	for _, c := range ordered(nodes) {
		r := rank(c.State)
		pools[r] = append(pools[r], c)
	}
	order := make([]Candidate, 0, len(nodes))
	var turn fs.NodeID // after the first pick: the others are only what to fall back on
	for _, pool := range pools {
		for len(pool) > 0 {
			i := p.Pick(d, Read, pool)
			if len(order) == 0 {
				turn = d.Turn
			}
			order = append(order, pool[i])
			pool = slices.Delete(pool, i, i+1)
		}
	}
	d.Turn = turn
	return order
}

// ordered is a copy of nodes by id, so that the caller's order does not matter.
func ordered(nodes []Candidate) []Candidate {
	s := slices.Clone(nodes)
	slices.SortFunc(s, func(a, b Candidate) int { return cmp.Compare(a.ID, b.ID) })
	return s
}
