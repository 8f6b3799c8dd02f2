package cluster

import (
	"context"
	"math/rand/v2"
	"net"
	"time"

	"dfs/fs"
)

// Joining never ends: memberlist forgets nodes that were dead for half a minute, so after a longer partition nobody
// would ever call the other side again.
const (
	joinDelayMin  = 200 * time.Millisecond
	joinDelayMax  = 3 * time.Second // while alone
	rejoinDelay   = 5 * time.Second // while in company
	joinTargets   = 8               // addresses tried in one round
	lookupTimeout = 2 * time.Second
	lonelyAfter   = 10 * time.Second // failing joins are normal while the others are being started
	lonelyEvery   = time.Minute      // between two complaints
)

func (r *Ring) joinLoop(ctx context.Context) {
	delay := joinDelayMin
	complain := time.Now().Add(lonelyAfter)
	for ctx.Err() == nil {
		targets := r.joinTargets(ctx)
		joined := 0
		for _, addr := range targets {
			if ctx.Err() != nil {
				return
			}
			n, err := r.list.Join([]string{addr})
			joined += n
			if err != nil {
				r.log.Debug("join failed, trying again later", "gossip", addr, "err", err)
				if now := time.Now(); now.After(complain) && r.alone() {
					complain = now.Add(lonelyEvery)
					r.log.Warn("no other node is heard of, trying on; a connection that is broken off (EOF) may mean another gossip key there",
						"gossip", addr, "err", err)
				}
			}
		}
		wait := rejoinDelay
		if joined < len(targets) && r.alone() {
			wait, delay = delay, min(2*delay, joinDelayMax)
		} else {
			delay = joinDelayMin
		}
		sleep(ctx, wait/2+rand.N(wait/2)) // nodes that were started together do not call in step
	}
}

// joinTargets are the addresses of Join and of dead members at which no living member is known, in random order.
func (r *Ring) joinTargets(ctx context.Context) []string {
	covered := map[string]bool{r.gossip: true}
	var wanted []string
	for _, m := range r.Details() {
		switch m.State {
		case fs.NodeAlive, fs.NodeSuspect:
			covered[m.Gossip] = true
		case fs.NodeDead:
			wanted = append(wanted, m.Gossip)
		}
	}
	for _, addr := range r.cfg.Join {
		wanted = append(wanted, lookup(ctx, addr)...)
	}
	var targets []string
	for _, addr := range wanted {
		if !covered[addr] {
			covered[addr] = true
			targets = append(targets, addr)
		}
	}
	rand.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	return targets[:min(len(targets), joinTargets)]
}

// lookup resolves host:port to ip:port; a name that cannot be resolved now gives nothing.
func lookup(ctx context.Context, hostport string) []string {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	var addrs []string
	for _, ip := range ips {
		addrs = append(addrs, net.JoinHostPort(ip.Unmap().String(), port))
	}
	return addrs
}

// alone reports whether no other living member is known.
func (r *Ring) alone() bool {
	for _, m := range r.Details() {
		if m.ID != r.cfg.Node && (m.State == fs.NodeAlive || m.State == fs.NodeSuspect) {
			return false
		}
	}
	return true
}
