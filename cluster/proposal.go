package cluster

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"dfs/fs"
)

// ExpectMax is the largest number of founders: Raft gains nothing from more voters.
const ExpectMax = 9

// Founder is one of the first voters of a cluster.
type Founder struct {
	ID   fs.NodeID `json:"id"`
	Addr string    `json:"addr"` // host:port of RPC and Raft
}

// Proposal is a cluster that might be founded.
type Proposal struct {
	Cluster  string    `json:"cluster"`  // id, fresh
	Founders []Founder `json:"founders"` // by rising id; the first one proposes
}

// Equal reports whether p and o are the same in every field.
func (p *Proposal) Equal(o *Proposal) bool {
	return p.Cluster == o.Cluster && slices.Equal(p.Founders, o.Founders)
}

// Proposer is the founder that may found.
func (p *Proposal) Proposer() fs.NodeID { return p.Founders[0].ID }

func (p *Proposal) String() string {
	var b strings.Builder
	for i, f := range p.Founders {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s at %s", f.ID, f.Addr)
	}
	return fmt.Sprintf("cluster %s of %s", p.Cluster, b.String())
}

func (p *Proposal) validate() error {
	if p.Cluster == "" || len(p.Cluster) > clusterMax {
		return fmt.Errorf("proposal's cluster id %q must have 1 … %d bytes: %w", p.Cluster, clusterMax, fs.ErrInvalid)
	}
	if n := len(p.Founders); n < 1 || n > ExpectMax {
		return fmt.Errorf("proposal has %d founders, not 1 … %d: %w", n, ExpectMax, fs.ErrInvalid)
	}
	for i, f := range p.Founders {
		if f.ID == "" || len(f.ID) > nodeIDMax || i > 0 && f.ID <= p.Founders[i-1].ID {
			return fmt.Errorf("proposal's founders are not in the order of distinct ids: %w", fs.ErrInvalid)
		}
		if _, _, err := net.SplitHostPort(f.Addr); err != nil || len(f.Addr) > addrMax {
			return fmt.Errorf("proposal's founder %s has no proper address %q: %w", f.ID, f.Addr, fs.ErrInvalid)
		}
	}
	return nil
}

// muster returns the living candidates with the lowest ids, at most expect of them. A problem is a reason why no cluster
// may be founded from what is seen however long one waits: two could come of it. An operator must help.
func muster(members []Member, expect int) (lowest []Founder, problem string) {
	for _, m := range members {
		if !m.Candidate() || m.State != fs.NodeAlive {
			continue
		}
		if m.Expect != expect {
			problem = fmt.Sprintf("node %s was started with --bootstrap-expect %d, others with %d: the number must be the same everywhere",
				m.ID, m.Expect, expect)
		}
		lowest = append(lowest, Founder{m.ID, m.Addr})
	}
	if n := len(lowest); n >= 2*expect {
		problem = fmt.Sprintf("%d nodes were started with --bootstrap-expect %d; with %d or more, two clusters could form: "+
			"start only %d nodes with it, and the others with --join alone", n, expect, 2*expect, expect)
	}
	slices.SortFunc(lowest, func(a, b Founder) int { return cmp.Compare(a.ID, b.ID) })
	return lowest[:min(expect, len(lowest))], problem
}
