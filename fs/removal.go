package fs

import "fmt"

// Removal is what the removal of a node would do, as the leader sees it.
type Removal struct {
	Node    NodeID
	Removed bool // it is out already: there is nothing left to do
	Alive   bool // it answers the leader, or gossip has just heard of it
	Voter   bool
	// VotersLeft is how many voters there would be without it, VotersAlive how many of them answer the leader.
	VotersLeft, VotersAlive int
	Blobs                   uint64 // live blobs that have a replica on it
	Last                    uint64 // of those, the ones of which no other node that is alive has a replica
	// MinReplicas is how many replicas a commit would need without it, MinReplicasNow how many it needs now.
	MinReplicas, MinReplicasNow int
}

// Quorum reports whether a majority of the voters that would be left answers. Without one the removal could not even be
// committed, and nothing could after it.
func (r *Removal) Quorum() bool { return r.VotersAlive > r.VotersLeft/2 }

// Objections are the reasons against a removal that an operator may overrule.
func (r *Removal) Objections() []string {
	var list []string
	if r.Removed {
		return nil
	}
	if r.Alive {
		list = append(list, "it is alive, or was moments ago: stop it first, and wait until the cluster takes it for dead")
	}
	if r.Last > 0 {
		list = append(list, fmt.Sprintf("%d blobs have no replica on any other node that is alive: what they hold would be lost", r.Last))
	}
	return list
}
