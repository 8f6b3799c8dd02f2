package placement

import (
	"sync"
	"time"

	"dfs/fs"
)

// Picker is a policy with its tracker and its source of chance: what a client keeps. Its methods may be called from any
// goroutine.
type Picker struct {
	policy  Policy
	tracker Tracker

	mu   sync.Mutex
	draw *Draw
}

// NewPicker makes a Picker; the same seed and calls give the same choices.
func NewPicker(policy Policy, seed uint64) *Picker {
	return &Picker{policy: policy, draw: NewDraw(seed)}
}

// Policy is the policy in use.
func (p *Picker) Policy() Policy { return p.policy }

// Update takes news of all nodes, as they come.
func (p *Picker) Update(nodes []fs.NodeInfo) { p.tracker.Update(nodes, time.Now()) }

// Begin counts a request to a node; call the returned function once, when it has ended. An error is one that speaks
// against the node: a cancelled request ends without.
func (p *Picker) Begin(id fs.NodeID) (end func(err error)) {
	done := p.tracker.Begin(id, time.Now())
	return func(err error) { done(err, time.Now()) }
}

// Count counts a request of a kind that this Picker does not choose nodes for: the node is busy with it, but how long it
// takes says nothing. Call the returned function once, when it has ended.
func (p *Picker) Count(id fs.NodeID) (end func()) { return p.tracker.Count(id) }

// Write picks nodes for n new replicas; see [ForWrite].
func (p *Picker) Write(nodes []fs.NodeInfo, have []fs.NodeID, n int) ([]fs.NodeInfo, error) {
	cs := p.tracker.Candidates(nodes, time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	picked, err := ForWrite(p.policy, p.draw, cs, have, n)
	return infos(picked), err
}

// Read orders nodes that have a replica, the one to ask first in front; see [ForRead].
func (p *Picker) Read(nodes []fs.NodeInfo) []fs.NodeInfo {
	cs := p.tracker.Candidates(nodes, time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	return infos(ForRead(p.policy, p.draw, cs))
}

func infos(cs []Candidate) []fs.NodeInfo {
	out := make([]fs.NodeInfo, len(cs))
	for i := range cs {
		out[i] = cs[i].NodeInfo
	}
	return out
}
