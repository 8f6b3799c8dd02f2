package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dfs/fs"
)

// When something is worth an operator's attention.
const (
	replicasSafe     = 3                      // fewer copies than that survive no second failure while the first is repaired
	freeShareMin     = 0.10                   // of the disk, before it is called nearly full
	lagMax           = 4096                   // log entries: what autopilot, too, calls too far behind to vote
	silentMountAfter = 5 * time.Second        // or half the session's time-out, when the mount itself gives the cluster up: it beats twice as often
	clockSkewMax     = 2 * time.Second        // between two nodes
	probeSlackMax    = 500 * time.Millisecond // how long an answer may take and still tell the time well enough
)

// alarm is one thing that is wrong with a cluster: its cause in capitals and words, and what to do.
type alarm struct {
	Name   string // for programs: words and dashes
	Cause  string
	Remedy string
}

// alarms are what is wrong with a cluster by one node's view of it, the worst first.
func alarms(s *fs.Status) []alarm {
	var list []alarm
	add := func(name, remedy, cause string, args ...any) {
		list = append(list, alarm{name, fmt.Sprintf(cause, args...), remedy})
	}
	if !s.Quorum {
		add("no-quorum", quorumRemedy(s), "NO QUORUM as node %s sees it: unless others see one nothing can be changed, and what follows may be out of date", s.Node)
	}
	if able := writable(s); able < s.MinReplicas {
		add("writes-fail", "start or add nodes, or free space on those that are full",
			"WRITES OF FILE DATA FAIL: %d nodes are alive and have space, %d copies are needed", able, s.MinReplicas)
	}
	redundancyAlarms(s, add)
	if u := s.Blobs.UnderReplicated; u > 0 {
		add("under-replicated", "nothing while it falls; else start the dead nodes, or remove for good what will not come back (dfs node remove)",
			"%d BLOBS LACK REPLICAS: they are being copied, as far as there are nodes to copy to", u)
	}
	nodeAlarms(s, add)
	if versions := versions(s); len(versions) > 1 {
		add("versions", "bring all nodes and mounts to one version, one at a time", "VERSIONS DIFFER: %s", strings.Join(versions, "; "))
	}
	for _, m := range s.Sessions {
		patience := max(silentMountAfter, time.Duration(m.TimeoutMillis)*time.Millisecond/2)
		if idle := time.Duration(m.IdleMillis) * time.Millisecond; idle > patience {
			remedy := "look at that machine; when its session times out the mount is fenced, and what it had not flushed is lost"
			if strings.HasPrefix(m.Mount.Path, fs.RestPath) {
				remedy = "look at that node; it serves files over HTTP by this session, and what it has answered with success is not lost"
			}
			add("mount-silent", remedy,
				"MOUNT SILENT: %s on %s, session %d, for %s", m.Mount.Path, m.Mount.Host, m.ID, idle.Round(100*time.Millisecond))
		}
	}
	return list
}

func quorumRemedy(s *fs.Status) string {
	voters, alive := s.Electorate()
	return fmt.Sprintf("start the nodes that are down: %d of %d voters are seen alive, %d are needed", alive, voters, voters/2+1)
}

// redundancyAlarms are about how many copies there are and could be, and how many votes can be spared.
func redundancyAlarms(s *fs.Status, add func(name, remedy, cause string, args ...any)) {
	storing := 0
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Member && n.State == fs.NodeAlive {
			storing++
		}
	}
	switch {
	case s.MinReplicas < s.MinReplicasWanted:
		add("redundancy", "add nodes", "REDUNDANCY BELOW what is wanted: fsync returns with %d of %d copies, since no more nodes store blobs",
			s.MinReplicas, s.MinReplicasWanted)
	case storing < s.Replicas:
		add("redundancy", "start or add nodes", "REDUNDANCY BELOW what is wanted: %d nodes are alive for %d replicas", storing, s.Replicas)
	case s.Replicas < replicasSafe:
		add("redundancy", "the number of replicas is fixed when a cluster is formed: form a new one with --replicas 3 to have more",
			"REDUNDANCY BELOW THREE: the cluster keeps %d replicas of each blob", s.Replicas)
	}
	if voters, alive := s.Electorate(); s.Quorum && voters > 1 && alive == voters/2+1 {
		add("quorum-margin", "start the voters that are down, or add nodes", "NO VOTER TO SPARE: %d of %d voters are alive, one less and there is no quorum", alive, voters)
	}
}

func nodeAlarms(s *fs.Status, add func(name, remedy, cause string, args ...any)) {
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if !n.Member {
			continue
		}
		l := &n.Load
		lag := lag(s, n)
		switch {
		case n.State == fs.NodeDead || n.State == fs.NodeLeft:
			add("node-down", "start dfsnode there; if it will not come back: dfs node remove "+string(n.ID), "NODE %s is %s", n.ID, n.State)
			continue
		case n.State == fs.NodeSuspect:
			add("node-suspect", "look at its machine and network", "NODE %s is suspect: it has been silent for a moment", n.ID)
		case lag > lagMax:
			add("node-lags", "look at its disk and network; it catches up by itself if they are well", "NODE %s LAGS: it has yet to apply %d log entries", n.ID, lag)
		}
		switch {
		case l.ReadOnly:
			add("disk-full", "free space on its disk or add nodes", "DISK FULL on node %s: it takes no new blobs", n.ID)
		case l.DiskTotalBytes > 0 && float64(l.DiskFreeBytes) < freeShareMin*float64(l.DiskTotalBytes):
			add("disk-nearly-full", "free space on its disk or add nodes", "DISK NEARLY FULL on node %s: %.0f%% left for blobs", n.ID,
				100*float64(l.DiskFreeBytes)/float64(l.DiskTotalBytes))
		}
	}
}

// lag is how many log entries a node has yet to apply, as far as is known; gossip is a few seconds old.
func lag(s *fs.Status, n *fs.NodeStatus) uint64 {
	if n.Applied == 0 || n.Applied > s.Commit {
		return 0
	}
	return s.Commit - n.Applied
}

// versions lists who runs what, by version; one line means that all agree.
func versions(s *fs.Status) []string {
	who := map[string][]string{}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Member && n.Version != "" {
			who[n.Version] = append(who[n.Version], string(n.ID))
		}
	}
	for i := range s.Sessions {
		if m := &s.Sessions[i].Mount; m.Version != "" {
			who[m.Version] = append(who[m.Version], m.Host+":"+m.Path)
		}
	}
	var list []string
	for version, names := range who {
		list = append(list, fmt.Sprintf("%s on %s", version, shorten(names, 4)))
	}
	slices.Sort(list)
	return list
}

// shorten lists at most so many names.
func shorten(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
