package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dfs/fs"
)

func TestBootstrap_StartedInAnyOrderFormsExactlyOneCluster(t *testing.T) {
	for _, c := range []struct{ nodes, expect int }{{1, 1}, {2, 2}, {3, 3}, {4, 3}, {5, 3}, {5, 5}, {9, 5}} {
		t.Run(fmt.Sprintf("%d candidates, expect %d", c.nodes, c.expect), func(t *testing.T) {
			for seed := range uint64(20) {
				s := simulate(t, seed, c.expect, false, func(s *simNet) {
					for i := range c.nodes {
						s.add(fs.NodeID(fmt.Sprintf("n%d", i)), s.between(0, 10*time.Second))
					}
					time.Sleep(40 * time.Second)
				})
				founded, homes := s.clusters()
				if len(founded) != 1 || len(s.founded) != 1 || len(homes[founded[0]]) != c.nodes {
					t.Fatalf("seed %d: founded %v, nodes ended in %v", seed, founded, homes)
				}
			}
		})
	}
}

// stormy is a run of some machines, fewer than two clusters' worth, in bad weather that calms down in the end.
func stormy(t *testing.T, seed uint64, yesmen bool) *simNet {
	expect := 2 + int(seed%3)
	nodes := expect + int(seed/3)%expect
	return simulate(t, seed, expect, true, func(s *simNet) {
		s.yesmen = yesmen
		for i := range nodes {
			s.add(fs.NodeID(fmt.Sprintf("n%d", i)), s.between(0, 10*time.Second))
		}
		for range 20 {
			s.shake()
			time.Sleep(s.between(0, 4*time.Second))
		}
		s.heal()
		time.Sleep(time.Minute)
	})
}

func TestBootstrap_FormsOneClusterWhateverBreaks(t *testing.T) {
	stuck, crashes, runs := 0, 0, 300
	for seed := range runs {
		s := stormy(t, uint64(seed), false)
		founded, homes := s.clusters()
		if len(founded) > 1 {
			t.Fatalf("seed %d: founded %v, nodes ended in %v", seed, founded, homes)
		}
		if len(founded) == 0 {
			stuck++
		} else if len(homes[founded[0]]) != len(s.nodes) {
			t.Errorf("seed %d: not everybody is in the cluster: %v", seed, homes)
		}
		for _, n := range s.nodes {
			crashes += n.crashes
		}
	}
	t.Logf("%d runs, %d crashes, %d stuck", runs, crashes, stuck)
	if crashes < runs {
		t.Errorf("only %d crashes: the test tests nothing", crashes)
	}
	if stuck > runs/30 {
		t.Errorf("%d of %d runs are stuck for good", stuck, runs)
	}
}

func TestBootstrap_NeverFormsTwoClustersEvenIfAskingMeansNothing(t *testing.T) {
	stuck, runs := 0, 300
	for seed := range runs {
		s := stormy(t, uint64(seed), true)
		founded, homes := s.clusters()
		if len(founded) > 1 {
			t.Fatalf("seed %d: founded %v, nodes ended in %v", seed, founded, homes)
		}
		if len(founded) == 0 {
			stuck++
		}
	}
	t.Logf("%d runs, %d stuck", runs, stuck)
	if stuck == 0 {
		t.Error("no two proposals ever met: the test tests nothing")
	}
}

func TestBootstrap_DoesNothingAndSaysSoWhenTwoClustersCouldForm(t *testing.T) {
	var status string
	s := simulate(t, 1, 3, false, func(s *simNet) {
		for i := range 6 {
			s.add(fs.NodeID(fmt.Sprintf("n%d", i)), 0)
		}
		time.Sleep(time.Minute)
		status = s.nodes[0].boot.Status()
	})
	if founded, _ := s.clusters(); len(founded) != 0 {
		t.Errorf("founded %v", founded)
	}
	if !strings.Contains(status, "two clusters could form") {
		t.Errorf("status: %s", status)
	}
}

func TestBootstrap_JoinsInsteadOfFoundingWhenThereIsACluster(t *testing.T) {
	s := simulate(t, 1, 3, false, func(s *simNet) {
		old := s.add("n9", 0)
		old.cluster = "old"
		for i := range 3 {
			s.add(fs.NodeID(fmt.Sprintf("n%d", i)), time.Second)
		}
		time.Sleep(time.Minute)
	})
	founded, homes := s.clusters()
	if len(founded) != 0 || len(homes["old"]) != 4 {
		t.Errorf("founded %v, nodes ended in %v", founded, homes)
	}
}

func TestBootstrap_SaysWhoIsMissingWhenAFounderIsLostAfterItsPromise(t *testing.T) {
	var proposer, other string
	s := simulate(t, 1, 3, false, func(s *simNet) {
		for i := range 3 {
			s.add(fs.NodeID(fmt.Sprintf("n%d", i)), time.Second)
		}
		p := &Proposal{Cluster: "c", Founders: []Founder{{"n0", simAddr("n0")}, {"n1", simAddr("n1")}, {"n8", simAddr("n8")}}}
		for _, id := range []string{"n0", "n1"} { // n8 took part in an earlier life, and was replaced by n2
			if err := (promiseFile{dir: filepath.Join(s.dir, id)}).save(p); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		proposer, other = s.nodes[0].boot.Status(), s.nodes[1].boot.Status()
	})
	if founded, _ := s.clusters(); len(founded) != 0 {
		t.Errorf("founded %v", founded)
	}
	for _, status := range []string{proposer, other} {
		if !strings.Contains(status, promiseName) || !strings.Contains(status, "n8") {
			t.Errorf("status: %s", status)
		}
	}
	if !strings.Contains(proposer, "n8 cannot be reached") {
		t.Errorf("proposer's status: %s", proposer)
	}
}

// machine is a node as dfsnode will build it, without Raft: transport, ring, service, bootstrap.
type machine struct {
	ring *Ring
	boot *Bootstrap
	out  chan Outcome
}

func startMachine(t *testing.T, id string, expect int, founded *atomic.Int32, gossip string, join ...string) *machine {
	t.Helper()
	tr := listen(t, Config{})
	cfg := ringConfig(t, id, join...)
	cfg.Addr, cfg.Expect, cfg.Listen, cfg.Dialer = tr.Addr(), expect, gossip, tr.Dialer
	ring := openRing(t, cfg)
	boot, err := NewBootstrap(BootstrapConfig{
		Node: cfg.Node, Addr: cfg.Addr, Expect: expect, Dir: t.TempDir(), View: ring, Promise: PromiseOver(tr.Dialer), Log: cfg.Log,
		Found: func(context.Context, *Proposal) error { founded.Add(1); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(ServerConfig{})
	RegisterService(server, ServiceConfig{Node: cfg.Node, Version: "v1", Cluster: ring.Cluster, Promise: boot.Promise})
	served := make(chan error, 1)
	go func() { served <- server.Serve(tr.GRPCListener()) }()
	m := &machine{ring: ring, boot: boot, out: make(chan Outcome, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		out, err := boot.Run(ctx)
		if err == nil {
			err = ring.SetCluster(out.Cluster)
		}
		if err != nil && ctx.Err() == nil {
			t.Errorf("%s: %v", id, err)
		}
		m.out <- out
	}()
	t.Cleanup(func() {
		cancel()
		<-ran
		server.Stop()
		<-served
	})
	return m
}

func TestBootstrap_OverRealGossipAndRPCFormsOneCluster(t *testing.T) {
	var founded atomic.Int32
	var seeds []string
	for range 3 {
		seeds = append(seeds, freePort(t))
	}
	var all []*machine
	for i, id := range []string{"c", "a", "b"} {
		all = append(all, startMachine(t, id, 3, &founded, seeds[i], seeds...))
	}
	all = append(all, startMachine(t, "d", 3, &founded, "127.0.0.1:0", seeds...))
	var cluster string
	for _, m := range all {
		select {
		case out := <-m.out:
			if cluster == "" {
				cluster = out.Cluster
			}
			if out.Cluster != cluster || out.Cluster == "" {
				t.Errorf("%s ended in cluster %q, not %q", m.ring.cfg.Node, out.Cluster, cluster)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: %s", m.ring.cfg.Node, m.boot.Status())
		}
	}
	if founded.Load() != 1 {
		t.Errorf("founded %d times", founded.Load())
	}
}

func TestSayHello_TellsWhoIsThereAndRefusesAnotherCluster(t *testing.T) {
	tr := listen(t, Config{})
	server := NewServer(ServerConfig{})
	RegisterService(server, ServiceConfig{Node: "a", Version: "v7", Cluster: func() string { return "one" }})
	done := make(chan error, 1)
	go func() { done <- server.Serve(tr.GRPCListener()) }()
	t.Cleanup(func() { server.Stop(); <-done })
	d := dialer(t, DialerConfig{})
	ctx := testContext(t, 10*time.Second)
	for _, own := range []string{"", "one"} {
		h, err := SayHello(ctx, d, tr.Addr(), Hello{Node: "b", Cluster: own})
		if want := (Hello{"a", "one", "v7"}); err != nil || h != want {
			t.Errorf("as of %q: got %+v, %v", own, h, err)
		}
	}
	if _, err := SayHello(ctx, d, tr.Addr(), Hello{Cluster: "two"}); !errors.Is(err, fs.ErrWrongCluster) || !strings.Contains(err.Error(), "belongs to cluster one, not to two") {
		t.Errorf("as of another cluster: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	drop := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := SayHello(ctx, d, drop, Hello{}); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("to nobody: %v", err)
	}
	p := &Proposal{Cluster: "x", Founders: []Founder{{"a", tr.Addr()}}}
	r, ok := errors.AsType[*RefusalError](PromiseOver(d)(ctx, p.Founders[0], p, true))
	if !ok || r.Verdict != VerdictMember || r.Cluster != "one" {
		t.Errorf("a member's answer to a proposal: %+v", r)
	}
}

func TestPromiseFile_IsThereCompleteOrNotAtAll(t *testing.T) {
	p := &Proposal{Cluster: "c", Founders: []Founder{{"a", "h:1"}, {"b", "h:2"}}}
	for _, step := range []string{"promise.write", "promise.rename", "promise.synced", ""} {
		t.Run("crash at "+step, func(t *testing.T) {
			dir := t.TempDir()
			f := promiseFile{dir: dir, faults: func(s string) error {
				if s == step {
					return errCrash
				}
				return nil
			}}
			if err := f.save(p); (err != nil) != (step != "") {
				t.Fatalf("save: %v", err)
			}
			got, err := f.load()
			if err != nil {
				t.Fatal(err)
			}
			if there := step == "promise.synced" || step == ""; there != (got != nil) || there && !got.Equal(p) {
				t.Errorf("loaded %v", got)
			}
		})
	}
}

func TestPromiseFile_DamageIsNeverTakenForNoPromise(t *testing.T) {
	p := &Proposal{Cluster: "cluster", Founders: []Founder{{"a", "h:1"}, {"b", "h:2"}}}
	f := promiseFile{dir: t.TempDir()}
	if err := f.save(p); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(f.path())
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string]string{
		"empty": "", "cut": string(good[:len(good)/2]), "other id": strings.Replace(string(good), `"cluster"`+": \"cluster\"", `"cluster": "clustes"`, 1),
		"newer": strings.Replace(string(good), `"version": 1`, `"version": 2`, 1), "zeros": strings.Repeat("\x00", len(good)),
	}
	for name, data := range damaged {
		if err := os.WriteFile(f.path(), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := f.load(); err == nil {
			t.Errorf("%s: loaded %v", name, got)
		}
		_, err := NewBootstrap(BootstrapConfig{Node: "a", Addr: "h:1", Expect: 2, Dir: f.dir})
		if err == nil || !strings.Contains(err.Error(), f.path()) {
			t.Errorf("%s: NewBootstrap: %v", name, err)
		}
	}
}

func TestPromise_NothingIsPromisedAfterADiskError(t *testing.T) {
	fail := true
	n := &simNode{net: &simNet{expect: 1}, id: "a"}
	b, err := NewBootstrap(BootstrapConfig{Node: "a", Addr: "h:1", Expect: 1, Dir: t.TempDir(), View: n, Faults: func(step string) error {
		if fail && step == "promise.synced" {
			return errCrash
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := &Proposal{Cluster: "c", Founders: []Founder{{"a", "h:1"}}}
	for range 2 {
		if err := b.Promise(t.Context(), p, true); !errors.Is(err, errCrash) {
			t.Errorf("got %v", err)
		}
		fail = false
	}
	if _, err := b.Run(t.Context()); !errors.Is(err, errCrash) {
		t.Errorf("Run: %v", err)
	}
}

func TestPromise_ChecksTheProposal(t *testing.T) {
	s := &simNet{expect: 2}
	s.nodes = []*simNode{{net: s, id: "a", up: true}, {net: s, id: "b", up: true}, {net: s, id: "c", up: true}}
	open := func() *Bootstrap {
		b, err := NewBootstrap(BootstrapConfig{Node: "b", Addr: simAddr("b"), Expect: 2, Dir: t.TempDir(), View: s.nodes[1]})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	of := func(cluster string, ids ...fs.NodeID) *Proposal {
		p := &Proposal{Cluster: cluster}
		for _, id := range ids {
			p.Founders = append(p.Founders, Founder{id, simAddr(id)})
		}
		return p
	}
	verdict := func(err error) Verdict {
		if r, ok := errors.AsType[*RefusalError](err); ok {
			return r.Verdict
		}
		return 0
	}
	b := open()
	for name, p := range map[string]*Proposal{
		"without id": of("", "a", "b"), "unordered": of("c", "b", "a"), "twice the same": of("c", "b", "b"), "without me": of("c", "a", "c"),
		"wrong number": of("c", "a", "b", "c"), "empty": {}, "no address": {Cluster: "c", Founders: []Founder{{"a", "x"}, {"b", simAddr("b")}}},
		"my old address": {Cluster: "c", Founders: []Founder{{"a", simAddr("a")}, {"b", "old:1"}}},
	} {
		for _, bind := range []bool{false, true} {
			if err := b.Promise(t.Context(), p, bind); verdict(err) != VerdictInvalid || !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%s, bind %v: %v", name, bind, err)
			}
		}
	}
	if err := b.Promise(t.Context(), of("c", "b", "c"), false); verdict(err) != VerdictLater {
		t.Errorf("asked about others than the lowest: %v", err)
	}
	if err := b.Promise(t.Context(), of("c", "a", "b"), false); err != nil {
		t.Errorf("asked: %v", err)
	}
	if err := b.Promise(t.Context(), of("d", "a", "b"), false); err != nil {
		t.Errorf("asked by the same proposer, restarted: %v", err)
	}
	s.nodes[0].up = false
	if err := b.Promise(t.Context(), of("c", "b", "c"), false); verdict(err) != VerdictLater {
		t.Errorf("asked about two at once: %v", err)
	}
	if err := b.Promise(t.Context(), of("e", "b", "c"), true); err != nil {
		t.Errorf("bound, whatever was asked and seen: %v", err)
	}
	if err := b.Promise(t.Context(), of("c", "a", "b"), true); verdict(err) != VerdictBound || !errors.Is(err, fs.ErrConflict) {
		t.Errorf("a second promise: %v", err)
	}
	for _, bind := range []bool{false, true} {
		if err := b.Promise(t.Context(), of("e", "b", "c"), bind); err != nil {
			t.Errorf("the same promise again: %v", err)
		}
	}
	s.nodes[1].cluster = "x"
	if err := b.Promise(t.Context(), of("e", "b", "c"), true); verdict(err) != VerdictMember || !errors.Is(err, fs.ErrWrongCluster) {
		t.Errorf("as a member of another cluster: %v", err)
	}
}
