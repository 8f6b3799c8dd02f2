package main

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"dfs/fs"
)

// examination is all that the doctor has looked at.
type examination struct {
	Machine     *machine     // nil: not looked at
	Unreachable error        // why no node answered; Status is nil then
	Status      *fs.Status   // the cluster as the node sees it that can tell best
	Nodes       []nodeAnswer // the members, each asked by itself
	Insecure    bool         // asked without TLS
}

// nodeAnswer is what a member said when it was asked by itself.
type nodeAnswer struct {
	ID     fs.NodeID
	Addr   string
	Err    error
	Status *fs.Status
	Offset time.Duration // its clock against ours, in the middle of the question
	Took   time.Duration
}

// finding is one thing that is wrong, its cause in one line and its remedy in another.
type finding struct {
	Name   string
	Cause  string
	Remedy string
}

const (
	openFilesMin = 4096
	freeBytesMin = 1 << 30
)

// diagnose is what is wrong, the cluster first. It is the empty list when all is well.
func diagnose(x *examination) []finding {
	list := []finding{} // in JSON [], not null
	add := func(name, cause, remedy string) { list = append(list, finding{name, cause, remedy}) }
	switch {
	case x.Unreachable != nil:
		add("unreachable", fmt.Sprintf("no node answers: %v", x.Unreachable), "start dfsnode, or name nodes that run with --addr")
	case x.Status.Cluster == "":
		add("no-cluster", fmt.Sprintf("node %s belongs to no cluster yet", x.Status.Node), "start the other founders, or check --join and --bootstrap-expect (dfsnode --help)")
	default:
		for _, a := range alarms(x.Status) {
			add(a.Name, a.Cause, a.Remedy)
		}
	}
	diagnoseNodes(x, add)
	if x.Machine != nil {
		diagnoseMachine(x.Machine, add)
	}
	return list
}

func diagnoseNodes(x *examination, add func(name, cause, remedy string)) {
	dead := map[fs.NodeID]bool{} // said already
	if x.Status != nil {
		for i := range x.Status.Nodes {
			dead[x.Status.Nodes[i].ID] = x.Status.Nodes[i].State == fs.NodeDead || x.Status.Nodes[i].State == fs.NodeLeft
		}
	}
	for i := range x.Nodes {
		n := &x.Nodes[i]
		switch {
		case n.Err != nil && !dead[n.ID]:
			add("node-silent", fmt.Sprintf("node %s at %s does not answer: %v", n.ID, n.Addr, n.Err), "look at its process, its log, and the network between here and there")
		case n.Err == nil:
			diagnoseNode(x.Status, n, add)
		}
		if x.Insecure && !loopback(n.Addr) {
			add("no-tls", fmt.Sprintf("traffic with node %s at %s is neither encrypted nor authenticated", n.ID, n.Addr), "use a network that only the cluster can reach, or TLS")
		}
	}
	if a, b := skew(x.Nodes); a != nil {
		add("clock-skew", fmt.Sprintf("the clocks of nodes %s and %s differ by %s", a.ID, b.ID, (b.Offset-a.Offset).Round(time.Millisecond)),
			"have all machines set their clocks by NTP (chrony or systemd-timesyncd): file times jump between mounts and nodes otherwise")
	}
}

func diagnoseNode(s *fs.Status, n *nodeAnswer, add func(name, cause, remedy string)) {
	if s.Quorum && !n.Status.Quorum && n.Status.Cluster != "" {
		add("node-cut-off", fmt.Sprintf("node %s sees no quorum, though node %s does: it is cut off from the leader, and what it says may be out of date", n.ID, s.Node),
			"look at the network between it and the other nodes; mounts that reach only this node fail")
	}
	u := &n.Status.Upkeep
	if u.Lost > 0 {
		add("replica-lost", fmt.Sprintf("node %s found replicas of its own missing or damaged and could not mend them, %d times", n.ID, u.Lost),
			"start the nodes with the other replicas; its log names the blobs (\"could not be mended\"), dfs explain the files' nodes")
	}
	if u.Healed > 0 {
		add("replica-damaged", fmt.Sprintf("node %s found %s of its own missing or damaged since its start, and mended them from others", n.ID, plural(int(u.Healed), "replica")),
			"check its disk (smartctl -a, dmesg) and memory: a sound machine damages none")
	}
}

// skew is the pair of nodes whose clocks differ most, the earlier first; nil if that is within what is allowed for, or
// within what the answers' times leave open.
func skew(nodes []nodeAnswer) (first, last *nodeAnswer) {
	for i := range nodes {
		n := &nodes[i]
		if n.Err != nil || n.Took > probeSlackMax {
			continue
		}
		if first == nil || n.Offset < first.Offset {
			first = n
		}
		if last == nil || n.Offset > last.Offset {
			last = n
		}
	}
	if first == nil || last.Offset-first.Offset <= clockSkewMax {
		return nil, nil
	}
	return first, last
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func diagnoseMachine(m *machine, add func(name, cause, remedy string)) {
	if m.Device != "" {
		add("no-fuse", fmt.Sprintf("this machine cannot mount: %s", m.Device), "load the module (modprobe fuse) and allow this user to use /dev/fuse; a machine that only runs dfsnode needs neither")
	}
	if m.OpenFiles < openFilesMin {
		add("open-files", fmt.Sprintf("a process of this user may open %d files only", m.OpenFiles),
			fmt.Sprintf("raise it to %d at least: LimitNOFILE= of the unit, or ulimit -n", openFilesMin))
	}
	for _, dir := range m.Dead {
		add("mount-dead", fmt.Sprintf("the mount at %s has lost its dfsmount", dir), "mount it again: dfsmount replaces a dead mount; or fusermount3 -u "+dir)
	}
	for _, dir := range m.Hung {
		add("mount-hangs", fmt.Sprintf("the mount at %s does not answer", dir), "see what it says itself: cat "+dir+"/.dfs/status; its cluster is gone, or very slow")
	}
	if m.DataDir == "" {
		return
	}
	switch m.DataType {
	case "tmpfs", "ramfs":
		add("data-volatile", fmt.Sprintf("the data directory %s is in memory (%s): a power cut loses all of it", m.DataDir, m.DataType), "choose a directory on a disk with --dir")
	case "nfs", "cifs", "fuse", "overlay":
		add("data-indirect", fmt.Sprintf("the data directory %s lies on %s, where a sync may not reach a disk", m.DataDir, m.DataType), "choose a directory on a local ext4 or XFS with --dir")
	}
	if m.FreeBytes < freeBytesMin {
		add("data-space", fmt.Sprintf("the disk of the data directory %s has %s left of %s", m.DataDir, humanize.IBytes(m.FreeBytes), humanize.IBytes(m.Total)),
			"free space on it: the metadata needs some too, and a node whose log cannot be written stops")
	}
}

// wrap is a finding as it is shown.
func (f *finding) String() string {
	return fmt.Sprintf("! %s\n  → %s\n", strings.ReplaceAll(f.Cause, "\n", " "), f.Remedy)
}
