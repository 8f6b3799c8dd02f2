package arch

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const root = "../.."

func TestTree_KeepsEveryRule(t *testing.T) {
	packages, err := Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 10 {
		t.Fatalf("found %d packages only: is this the root?", len(packages))
	}
	for _, rule := range Rules {
		for _, p := range packages {
			for _, bad := range rule.Check(&p) {
				t.Errorf("%s\n\trule: %s, because %s", bad, rule.Name, rule.Why)
			}
		}
	}
}

func TestRoot_HoldsOnlyWhatBelongsThere(t *testing.T) {
	bad, err := CheckTopLevel(os.DirFS(root), ignoredByGit(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bad {
		t.Error(b)
	}
}

// ignoredByGit asks git; without git, or outside a checkout, it falls back to the names in .gitignore.
func ignoredByGit(t *testing.T) []string {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var ignored []string
	for _, e := range entries {
		if exec.Command("git", "-C", root, "check-ignore", "-q", e.Name()).Run() == nil {
			ignored = append(ignored, e.Name())
		}
	}
	return append(ignored, "bin", "dist", "mnt")
}

func TestFloors_NameOnlyPackagesThatMayExist(t *testing.T) {
	for _, n := range neighbours {
		if floorOf(n.from) != floorOf(n.to) || floorOf(n.from) < 0 {
			t.Errorf("neighbour edge %s → %s does not lie within one floor", n.from, n.to)
		}
		if n.why == "" {
			t.Errorf("neighbour edge %s → %s has no reason", n.from, n.to)
		}
	}
	for _, r := range Rules {
		if r.Why == "" {
			t.Errorf("rule %q has no reason", r.Name)
		}
	}
}

// Each rule must bite: one planted violation for every rule, and nothing else wrong with it.
func TestPlantedViolation_IsReportedByItsRule(t *testing.T) {
	planted := map[string]map[string]string{
		"imports lead down":                                       {"blob/replica/x.go": `package replica; import _ "dfs/fs/vfs"`},
		"fs imports the standard library only":                    {"fs/x.go": `package fs; import _ "github.com/google/uuid"`},
		"the wire codec imports fs and the standard library only": {"fs/wire/x.go": `package wire; import _ "github.com/google/uuid"`},
		"the state machine is pure":                               {"raftmeta/state/x.go": `package state; import _ "time"`},
		"metapb is seen by its codec only":                        {"raftmeta/x.go": `package raftmeta; import _ "dfs/raftmeta/metapb"`},
		"blobpb is seen by its codec only":                        {"blob/badgerstore/x.go": `package badgerstore; import _ "dfs/blob/blobpb"`},
		"clusterpb is seen by cluster only":                       {"cmd/dfs/x.go": `package main; import _ "dfs/cluster/clusterpb"`},
		"hashicorp/raft is behind raftmeta":                       {"cluster/x.go": `package cluster; import _ "github.com/hashicorp/raft"`},
		"memberlist is behind cluster":                            {"raftmeta/x.go": `package raftmeta; import _ "github.com/hashicorp/memberlist"`},
		"Badger is behind the stores":                             {"fs/vfs/x.go": `package vfs; import _ "github.com/dgraph-io/badger/v4"`},
		"go-fuse is behind fusefs":                                {"fs/vfs/x.go": `package vfs; import _ "github.com/hanwen/go-fuse/v2/fuse"`},
		"nobody imports test/":                                    {"cmd/dfs/x.go": `package main; import _ "dfs/test/harness"`},
		"sockets are made in cluster":                             {"cmd/dfs/x.go": `package main; import "net"; var _, _ = net.Dial("tcp", "x")`},
		"no init functions":                                       {"fs/x.go": `package fs; func init() {}`},
		"no grab-bag packages":                                    {"cmd/internal/util/x.go": `package util`},
	}
	for _, rule := range Rules {
		t.Run(rule.Name, func(t *testing.T) {
			files, ok := planted[rule.Name]
			if !ok {
				t.Fatal("nothing is planted for this rule")
			}
			if got := violations(t, rule, files); len(got) == 0 {
				t.Error("the planted violation went unnoticed")
			}
		})
	}
}

func violations(t *testing.T, rule Rule, files map[string]string) []string {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	packages, err := Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range packages {
		all = append(all, rule.Check(&p)...)
	}
	return all
}

func TestPackageOnNoFloor_IsReported(t *testing.T) {
	got := violations(t, Rules[0], map[string]string{"lib/x.go": "package lib"})
	if len(got) != 1 || !strings.Contains(got[0], "no floor") {
		t.Errorf("got %q", got)
	}
}

func TestImportWithinAFloor_NeedsANeighbourEdge(t *testing.T) {
	if got := violations(t, Rules[0], map[string]string{"blob/memstore/x.go": `package memstore; import _ "dfs/blob"`}); len(got) != 0 {
		t.Errorf("allowed edge reported: %q", got)
	}
	if got := violations(t, Rules[0], map[string]string{"blob/x.go": `package blob; import _ "dfs/blob/memstore"`}); len(got) != 1 {
		t.Errorf("edge in the wrong direction: got %q", got)
	}
}

func TestTestFiles_AreExempt(t *testing.T) {
	if got := violations(t, Rules[0], map[string]string{"fs/x_test.go": `package fs; import _ "dfs/fs/vfs"`}); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestStrangerInTheRoot_IsReported(t *testing.T) {
	fsys := fstest.MapFS{"pkg/x.go": {}, "fs/x.go": {}, ".ci/run": {}, "bin/dfs": {}, "notes.txt": {}}
	bad, err := CheckTopLevel(fs.FS(fsys), []string{"bin"})
	if err != nil {
		t.Fatal(err)
	}
	if len(bad) != 2 || !strings.HasPrefix(bad[0], "notes.txt ") || !strings.HasPrefix(bad[1], "pkg ") {
		t.Errorf("got %q", bad)
	}
}

func TestSources_SayNothingOfMachines(t *testing.T) {
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if rel, relErr := filepath.Rel(root, name); relErr == nil && err == nil && rel != "." && skipDir(filepath.ToSlash(rel)) {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".md") || strings.Contains(name, "test/arch") {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, word := range []string{"/home/", "/root/go"} {
			if strings.Contains(string(data), word) {
				t.Errorf("%s mentions %s", name, word)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
