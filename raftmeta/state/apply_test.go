package state_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
	"dfs/raftmeta/state/statetest"
)

func TestApply_BeforeInitIsUnavailable(t *testing.T) {
	kv := state.NewMemory()
	for _, cmd := range []command.Command{&command.Tx{}, &command.OpenSession{}, &command.Abort{}, &command.Forget{},
		&command.PutNode{Node: fs.NodeInfo{ID: "n"}}} {
		if a, err := state.Apply(kv, 1, cmd); err != nil || a.Err != fs.CodeUnavailable {
			t.Errorf("%T: %+v, %v", cmd, a, err)
		}
	}
	if kv.Len() != 0 {
		t.Errorf("%d keys were left behind", kv.Len())
	}
	if err := state.Check(kv); err != nil {
		t.Errorf("the empty state: %v", err)
	}
}

func TestInit_ASecondOneChangesNothing(t *testing.T) {
	c := newCluster(t)
	before := c.digest()
	c.do(&command.Init{Cluster: "other", Time: 9, Replicas: 1, MinReplicas: 1, SessionTimeout: 1})
	if c.digest() != before {
		t.Error("a second Init changed the state")
	}
	config, ok, err := c.view().Config()
	want := state.Config{Cluster: "c", Replicas: 3, MinReplicas: 2, InlineMax: 16, SessionTimeout: 500, Created: 1}
	if err != nil || !ok || config != want {
		t.Errorf("config %+v, %v, %v; want %+v", config, ok, err, want)
	}
	root := fs.Attr{Ino: 1, Type: fs.TypeDir, Mode: 0o755, Nlink: 2, Size: 4096, Atime: 1, Mtime: 1, Ctime: 1, Btime: 1,
		Version: 1, Parent: 1}
	if a := c.attr(fs.RootIno); a != root {
		t.Errorf("root %+v, want %+v", a, root)
	}
}

func TestInit_RefusesNonsense(t *testing.T) {
	good := command.Init{Cluster: "c", Replicas: 3, MinReplicas: 2, InlineMax: 1, SessionTimeout: 1}
	for name, change := range map[string]func(*command.Init){
		"no cluster":             func(m *command.Init) { m.Cluster = "" },
		"no replicas":            func(m *command.Init) { m.MinReplicas = 0 },
		"more min than replicas": func(m *command.Init) { m.MinReplicas = 4 },
		"too many replicas":      func(m *command.Init) { m.Replicas = 1000 },
		"negative inline":        func(m *command.Init) { m.InlineMax = -1 },
		"no timeout":             func(m *command.Init) { m.SessionTimeout = 0 },
	} {
		kv, m := state.NewMemory(), good
		change(&m)
		if a, err := state.Apply(kv, 1, &m); err != nil || a.Err != fs.CodeInvalid || kv.Len() != 0 {
			t.Errorf("%s: %+v, %v, %d keys", name, a, err, kv.Len())
		}
	}
}

func TestApply_EqualSequencesMakeEqualDigests(t *testing.T) {
	run := func() (digests [][32]byte) {
		g, kv := statetest.NewGenerator(rand.New(rand.NewPCG(1, 2)).IntN), state.NewMemory()
		for index := range uint64(300) {
			cmd := g.Next()
			answer, err := state.Apply(kv, index+1, cmd)
			if err != nil {
				t.Fatal(err)
			}
			g.Observe(cmd, answer)
			d, err := state.Digest(kv)
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, d)
		}
		return digests
	}
	first := run()
	for range 3 {
		for n, d := range run() {
			if d != first[n] {
				t.Fatalf("the digests part at command %d", n+1)
			}
		}
	}
	if first[0] == first[299] {
		t.Error("the digest does not follow the state")
	}
}

// Wherever the store fails, Apply says so and takes it for no refusal; and nothing was written unless the flush at
// the end had begun.
func TestApply_AFailingStoreIsAnError(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.store(2, 0, c.info(10))
	c.dir(3, "d")
	c.ok(&fs.Setxattr{Ino: 2, Name: "user.x", Value: []byte("y")})
	c.make(fs.TypeRegular, 1, 4, "orphan")
	c.ok(&fs.Unlink{Parent: 1, Name: "orphan"})
	c.do(&command.PutNode{Node: fs.NodeInfo{ID: "n1"}})
	cmds := []command.Command{
		c.newTx(&fs.Rename{Parent: 1, Name: "a", NewParent: 3, NewName: "b", Time: 5},
			&fs.Setattr{Ino: 2, Set: fs.SetSize, Size: 5, Time: 5},
			&fs.Clone{Src: 2, Dst: 2, DstOff: 20, Len: 3, Time: 5},
			&fs.Removexattr{Ino: 2, Name: "user.x", Time: 5}),
		&command.Reap{Inos: []fs.Ino{4}, Extents: 10},
		&command.RemoveNode{Node: "n1"},
		&command.EndSession{Session: c.s.ID, Epoch: c.s.Epoch},
	}
	for _, cmd := range cmds {
		failed := 0
		for n := 0; ; n++ {
			b := &broken{Memory: c.kv.Clone(), left: n}
			_, err := state.Apply(b, c.index+1, cmd)
			if err == nil {
				break
			}
			failed++
			if !errors.Is(err, errDisk) {
				t.Fatalf("%T, call %d fails: %v", cmd, n, err)
			}
		}
		if failed < 5 {
			t.Errorf("%T made only %d calls", cmd, failed)
		}
	}
}

type refusing struct{ *state.Memory }

func (refusing) Get([]byte) ([]byte, error) { return nil, fs.ErrNotExist }

func TestApply_AStoreThatSpeaksOurErrorsIsNotTakenForARefusal(t *testing.T) {
	if a, err := state.Apply(refusing{state.NewMemory()}, 1, &command.Forget{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestApply_AnUnknownOperationStopsTheNode(t *testing.T) {
	c := newCluster(t)
	before := c.digest()
	if _, err := state.Apply(c.kv, 99, c.newTx(nil)); !errors.Is(err, command.ErrUnknown) {
		t.Errorf("an unknown operation: %v", err)
	}
	if _, err := state.Apply(c.kv, 99, nil); !errors.Is(err, command.ErrUnknown) {
		t.Errorf("an unknown command: %v", err)
	}
	if c.digest() != before {
		t.Error("it left a trace")
	}
}

func TestAllocInos_NeverTheSameNumberTwice(t *testing.T) {
	c := newCluster(t)
	next := fs.Ino(1002)
	for _, n := range []int{1, fs.InoRangeMax, 7} {
		a := c.do(&command.AllocInos{Session: c.s.ID, Epoch: c.s.Epoch, N: n})
		if a.Inos != (fs.InoRange{From: next, N: n}) {
			t.Errorf("allotted %+v, want %d from %d", a.Inos, n, next)
		}
		next += fs.Ino(n)
	}
	for _, n := range []int{0, -1, fs.InoRangeMax + 1} {
		if a := c.send(&command.AllocInos{Session: c.s.ID, Epoch: c.s.Epoch, N: n}); a.Err != fs.CodeInvalid {
			t.Errorf("%d numbers: %+v", n, a)
		}
	}
}

func TestSession_CarriesTheConfigurationAndIsListedWhileItLives(t *testing.T) {
	c := newCluster(t)
	mount := fs.Mount{Host: "h", PID: 3, Path: "/mnt", Version: "v", Opened: 9}
	s := c.do(&command.OpenSession{Mount: mount}).Session
	want := fs.Session{ID: 2, Epoch: fs.Epoch(c.index), Cluster: "c", TimeoutMillis: 500, Replicas: 3, MinReplicas: 2, Root: 1}
	if s != want {
		t.Errorf("opened %+v, want %+v", s, want)
	}
	got, ok, err := c.view().Session(2)
	if err != nil || !ok || !reflect.DeepEqual(got, state.SessionRecord{Session: want, Mount: mount, Done: 1}) {
		t.Errorf("recorded %+v, %v, %v", got, ok, err)
	}
	c.do(&command.EndSession{Session: 2, Epoch: s.Epoch})
	c.do(&command.EndSession{Session: 2, Epoch: s.Epoch})
	if list, err := c.view().Sessions(); err != nil || len(list) != 1 || list[0].Session != c.s {
		t.Errorf("left: %+v, %v", list, err)
	}
	if s := c.do(&command.OpenSession{}).Session; s.ID != 3 {
		t.Errorf("the id %d is given again", s.ID)
	}
}
