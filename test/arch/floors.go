package arch

import (
	"fmt"
	"slices"
	"strings"
)

// floors places every package; a package imports only from floors below its own, or along a neighbour edge.
var floors = map[string]int{
	"fs": 0, "fs/spans": 0, "fs/wire": 0, "fs/tables": 0, "raftmeta/command": 0, "raftmeta/metapb": 0, "blob/blobpb": 0, "cluster/clusterpb": 0,

	"raftmeta/state": 1, "raftmeta/state/statetest": 1, "raftmeta/metarpc": 1, "raftmeta/localmeta": 1, "raftmeta/room": 1, "fs/lease": 1, "raftmeta/leasedesk": 1, "fs/lock": 1, "raftmeta/changes": 1,
	"cluster": 1, "cluster/pki": 1, "cluster/placement": 1, "cluster/rpcerr": 1,
	"blob": 1, "blob/badgerstore": 1, "blob/memstore": 1, "blob/blobrpc": 1, "blob/blobtest": 1,

	"fs/vfs": 2, "raftmeta": 2, "blob/replica": 2,

	"fs/fusefs": 3, "fs/rest": 3,
}

// Prefixes: everything below is on that floor.
const (
	floorCmd  = 4
	floorTest = 5
)

// neighbours are the imports within a floor that are allowed, each with its reason.
var neighbours = []struct{ from, to, why string }{
	{"fs/wire", "fs", "the codec speaks of the words' errors"},
	{"fs/spans", "fs", "it tells the kinds of errors"},
	{"fs/tables", "fs", "it speaks of the words' errors"},
	{"raftmeta/command", "fs", "commands are made of the words"},
	{"raftmeta/command", "fs/wire", "commands are coded with it"},
	{"raftmeta/state/statetest", "raftmeta/state", "it generates commands for the state machine"},
	{"raftmeta/localmeta", "raftmeta/state", "the double is the state machine without Raft"},
	{"raftmeta/leasedesk", "fs/lease", "it drives the leader's half"},
	{"raftmeta/changes", "raftmeta/state", "it reads what things are called as transactions are applied"},
	{"raftmeta/localmeta", "raftmeta/leasedesk", "the double waits for leases as the leader does"},
	{"raftmeta/localmeta", "fs/lock", "the double keeps locks as the leader does"},
	{"raftmeta/localmeta", "raftmeta/room", "the double grants room as a leader does"},
	{"raftmeta/metarpc", "cluster/rpcerr", "errors cross the wire in one way"},
	{"blob/blobrpc", "cluster/rpcerr", "errors cross the wire in one way"},
	{"cluster", "cluster/rpcerr", "errors cross the wire in one way"},
	{"cluster", "cluster/pki", "it wraps every connection in TLS by these credentials, and checks the role in them"},
	{"blob/badgerstore", "blob", "it implements the interface"},
	{"blob/memstore", "blob", "it implements the interface"},
	{"blob/blobrpc", "blob", "it implements the interface"},
	{"blob/blobtest", "blob", "it tests the interface"},
}

// floorOf is the floor of a package, -1 if it has none.
func floorOf(pkg string) int {
	switch {
	case strings.HasPrefix(pkg, "cmd/"):
		return floorCmd
	case strings.HasPrefix(pkg, "test/"):
		return floorTest
	}
	if f, ok := floors[pkg]; ok {
		return f
	}
	return -1
}

// checkFloors reports imports that do not lead down.
func checkFloors(p *Package) []string {
	from := floorOf(p.Path)
	if from < 0 {
		return []string{fmt.Sprintf("%s is on no floor: place it in test/arch/floors.go", p.Path)}
	}
	var bad []string
	for _, imp := range p.Ours() {
		if to := floorOf(imp); to < from || to == from && neighbour(p.Path, imp) {
			continue
		}
		bad = append(bad, fmt.Sprintf("%s (floor %d) imports %s (floor %d)", p.Path, from, imp, floorOf(imp)))
	}
	return bad
}

func neighbour(from, to string) bool {
	if floorOf(from) >= floorCmd { // commands and tests have helpers of their own, but not each other's mains
		return true
	}
	return slices.ContainsFunc(neighbours, func(n struct{ from, to, why string }) bool { return n.from == from && n.to == to })
}
