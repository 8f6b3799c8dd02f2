package lease

import (
	"flag"
	"hash/maphash"
	"maps"
	"strings"
	"testing"
)

// explore tries every order of events, and returns how many states there are and, if there is one, a way to a bad one.
func explore(t *testing.T, limit int, fresh func() *world) (states int, bad []string) {
	t.Helper()
	seed := maphash.MakeSeed()
	seen := map[uint64]bool{}
	var path []string
	var visit func(w *world) bool
	visit = func(w *world) bool {
		if why := w.audit(); why != "" {
			bad = append(path, why)
			return false
		}
		key := maphash.String(seed, w.String())
		if seen[key] {
			return true
		}
		seen[key] = true
		if states++; states > limit {
			t.Fatalf("more than %d states", limit)
		}
		list := w.choices()
		if len(list) == 0 {
			if why := w.stuck(); why != "" {
				bad = append(path, why)
				return false
			}
		}
		for n := range list {
			next := w.clone()
			step := next.choices()[n]
			path = append(path, step.name)
			step.do()
			if !visit(next) {
				return false
			}
			path = path[:len(path)-1]
		}
		return true
	}
	visit(fresh())
	return states, bad
}

// audit is what must be true at any time.
func (w *world) audit() string {
	if w.broken != "" {
		return w.broken
	}
	if bad := w.auditPages(); bad != "" {
		return bad
	}
	return w.table.check()
}

// check audits the table's invariants.
func (t *Table) check() string {
	for ino, i := range t.inodes {
		for _, r := range i.queue {
			if own := i.holders[r.Session]; r.Page && own != nil {
				return "a page waits although its own session holds the inode"
			}
		}
		for s, h := range i.holders {
			if h.mode == None {
				return "somebody holds nothing"
			}
			if h.mode == Exclusive && i.others(s, Shared) {
				return "an exclusive lease is not alone"
			}
			if _, ok := t.held[s][ino]; !ok {
				return "held is not what the inodes say"
			}
			for _, c := range i.changes {
				if c.Kind == Change && c.Session != s {
					return "somebody holds what is being changed"
				}
			}
		}
	}
	return ""
}

var scenarios = map[string]func(r rules) *world{
	"readers and a writer": func(r rules) *world {
		return newWorld(r, 0, 0, []string{"write", "write"}, []string{"read", "read", "read"})
	},
	"two writers": func(r rules) *world { return newWorld(r, 0, 0, []string{"write", "read"}, []string{"write", "read"}) },
	"the leader dies": func(r rules) *world {
		return newWorld(r, 1, 0, []string{"write"}, []string{"read", "write"})
	},
	"a session ends": func(r rules) *world {
		return newWorld(r, 0, 1, []string{"read", "read"}, []string{"write"})
	},
	"a mapping and a writer": func(r rules) *world {
		return newWorld(r, 0, 0, []string{"write", "write"}, []string{"map", "map"})
	},
	"a mapping and writers on both": func(r rules) *world {
		return newWorld(r, 0, 0, []string{"write"}, []string{"map", "write", "map"})
	},
	"a mapping, and the leader dies": func(r rules) *world {
		return newWorld(r, 1, 0, []string{"write"}, []string{"map", "map"})
	},
	"leases go back unasked": func(r rules) *world {
		w := newWorld(r, 0, 0, []string{"read", "read", "read"}, []string{"write"})
		w.spare = 1
		return w
	},
}

// longer scenarios take minutes: go test -run EveryOrder ./fs/lease -long
var longer = map[string]func(r rules) *world{
	"the leader dies, each reads and writes": func(r rules) *world {
		return newWorld(r, 1, 0, []string{"write", "read"}, []string{"read", "write"})
	},
	"a session ends, each reads and writes": func(r rules) *world {
		return newWorld(r, 0, 1, []string{"read", "write", "read"}, []string{"write", "read"})
	},
	"the leader dies, and leases go back unasked": func(r rules) *world {
		w := newWorld(r, 1, 0, []string{"read", "write"}, []string{"write"})
		w.spare = 1
		return w
	},
	"the leader dies and a session ends": func(r rules) *world {
		return newWorld(r, 1, 1, []string{"read", "write"}, []string{"write"})
	},
}

var long = flag.Bool("long", false, "explore the longer scenarios, too")

func TestEveryOrderOfEvents_IsCoherent(t *testing.T) {
	all := maps.Clone(scenarios)
	if *long {
		maps.Copy(all, longer)
	}
	for name, scenario := range all {
		t.Run(name, func(t *testing.T) {
			states, bad := explore(t, 5_000_000, func() *world { return scenario(rules{}) })
			if bad != nil {
				t.Fatalf("after %d states:\n%s", states, strings.Join(bad, "\n"))
			}
			t.Logf("%d states", states)
		})
	}
}

// A model that cannot fail proves nothing: each rule of the protocol is broken once, and the explorer must find out.
func TestBrokenRule_IsFound(t *testing.T) {
	for name, test := range map[string]struct {
		scenario string
		rules    rules
	}{
		"a grant overtaken by its recall is taken":   {"two writers", rules{keepOvertaken: true}},
		"a recall is answered before the flush":      {"readers and a writer", rules{ackUnflushed: true}},
		"a fresh leader grants before it knows":      {"the leader dies", rules{grantEarly: true}},
		"a lease is used after the session's time":   {"a session ends", rules{useAfterTime: true}},
		"a change does not wait for those who cache": {"two writers", rules{changeOpenly: true}},
		"a page that came behind its dropping stays": {"a mapping and a writer", rules{leavePages: true}},
		"a page is taken that no lease covers":       {"a mapping and a writer", rules{fillAnyway: true}},
		"dropping does not wait for locked pages":    {"a mapping and a writer", rules{dropOnce: true}},
	} {
		t.Run(name, func(t *testing.T) {
			states, bad := explore(t, 5_000_000, func() *world { return scenarios[test.scenario](test.rules) })
			if bad == nil {
				t.Fatalf("nothing was found in %d states", states)
			}
			t.Logf("found after %d states:\n%s", states, strings.Join(bad, "\n"))
		})
	}
}
