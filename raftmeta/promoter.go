package raftmeta

import (
	"cmp"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	autopilot "github.com/hashicorp/raft-autopilot"
)

// promoter decides who votes. One to three members all vote; of more, as many as wanted, an odd number, in as many zones
// as there are. A voter that has failed for long is replaced by a learner that is well; with none to replace it, it stays.
// One change a round.
type promoter struct {
	voters int
	failed time.Duration
	zone   func() map[raft.ServerID]string
}

var _ autopilot.Promoter = (*promoter)(nil)

// wanted is the number of voters among so many members.
func (p *promoter) wanted(members int) int {
	n := min(members, p.voters)
	if members > 3 && n%2 == 0 {
		n--
	}
	return n
}

// CalculatePromotionsAndDemotions implements autopilot.Promoter.
func (p *promoter) CalculatePromotionsAndDemotions(c *autopilot.Config, s *autopilot.State) (changes autopilot.RaftChanges) {
	e := p.electorate(c, s)
	wanted := p.wanted(len(s.Servers))
	learner := e.bestLearner()
	switch {
	case len(e.voters) > wanted:
		changes.Demotions = e.spare()
	case learner == "":
	case len(e.voters) < wanted:
		changes.Promotions = []raft.ServerID{learner}
	case len(e.failed) > 0:
		changes.Promotions = []raft.ServerID{learner}
		changes.Demotions = e.failed[:1]
	case e.crowded() != "" && e.zones[learner] != "" && e.count[e.zones[learner]] == 0:
		changes.Promotions = []raft.ServerID{learner} // the next round demotes one of the crowd
	}
	return changes
}

// electorate is the members sorted out.
type electorate struct {
	leader   raft.ServerID
	voters   []raft.ServerID // the leader and the failed among them
	failed   []raft.ServerID
	learners []raft.ServerID // those that are well, and have been for long enough
	zones    map[raft.ServerID]string
	count    map[string]int // voters that have not failed, by zone
}

func (p *promoter) electorate(c *autopilot.Config, s *autopilot.State) *electorate {
	e := &electorate{leader: s.Leader, zones: p.zone(), count: map[string]int{}}
	stable := s.ServerStabilizationTime(c)
	for id, server := range s.Servers {
		switch {
		case !server.HasVotingRights():
			if server.Health.IsStable(time.Now(), stable) {
				e.learners = append(e.learners, id)
			}
			continue
		case id != s.Leader && !server.Health.Healthy && server.Stats.LastContact > p.failed:
			e.failed = append(e.failed, id)
		default:
			e.count[e.zones[id]]++
		}
		e.voters = append(e.voters, id)
	}
	slices.Sort(e.voters)
	slices.Sort(e.failed)
	return e
}

// bestLearner is the one in the zone with the fewest voters; empty if there is none.
func (e *electorate) bestLearner() raft.ServerID {
	if len(e.learners) == 0 {
		return ""
	}
	return slices.MinFunc(e.learners, func(a, b raft.ServerID) int {
		return cmp.Or(cmp.Compare(e.count[e.zones[a]], e.count[e.zones[b]]), cmp.Compare(a, b))
	})
}

// spare is the voter to go when there are too many: a failed one, else one of the most crowded zone, never the leader.
func (e *electorate) spare() []raft.ServerID {
	if len(e.failed) > 0 {
		return e.failed[:1]
	}
	others := slices.DeleteFunc(slices.Clone(e.voters), func(id raft.ServerID) bool { return id == e.leader })
	if len(others) == 0 {
		return nil
	}
	return []raft.ServerID{slices.MaxFunc(others, func(a, b raft.ServerID) int {
		return cmp.Or(cmp.Compare(e.count[e.zones[a]], e.count[e.zones[b]]), cmp.Compare(a, b))
	})}
}

// crowded is a zone with two voters of which one can go; empty if there is none.
func (e *electorate) crowded() string {
	for _, id := range e.voters {
		if zone := e.zones[id]; id != e.leader && zone != "" && e.count[zone] > 1 {
			return zone
		}
	}
	return ""
}

// GetServerExt implements autopilot.Promoter, like the methods below: there is nothing to add.
func (p *promoter) GetServerExt(*autopilot.Config, *autopilot.ServerState) any { return nil }

// GetStateExt adds nothing.
func (p *promoter) GetStateExt(*autopilot.Config, *autopilot.State) any { return nil }

// GetNodeTypes says that every member may vote.
func (p *promoter) GetNodeTypes(_ *autopilot.Config, s *autopilot.State) map[raft.ServerID]autopilot.NodeType {
	types := make(map[raft.ServerID]autopilot.NodeType, len(s.Servers))
	for id := range s.Servers {
		types[id] = autopilot.NodeVoter
	}
	return types
}

// FilterFailedServerRemovals lets nobody be removed.
func (p *promoter) FilterFailedServerRemovals(*autopilot.Config, *autopilot.State, *autopilot.FailedServers) *autopilot.FailedServers {
	return &autopilot.FailedServers{}
}

// IsPotentialVoter implements autopilot.Promoter.
func (p *promoter) IsPotentialVoter(t autopilot.NodeType) bool { return t == autopilot.NodeVoter }
