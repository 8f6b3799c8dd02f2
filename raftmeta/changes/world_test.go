package changes

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// world is a state that is followed as a node follows it.
type world struct {
	t      *testing.T
	kv     *state.Memory
	feed   *Feed
	tracer *Tracer
	index  uint64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, kv: state.NewMemory(), feed: NewFeed()}
	w.tracer = NewTracer(w.feed)
	t.Cleanup(w.feed.Close)
	return w
}

// apply applies an entry of the log.
func (w *world) apply(cmds ...command.Command) []state.Answer {
	w.t.Helper()
	w.index++
	var entries []*Entry
	if w.tracer.Watching() {
		entries = append(entries, w.tracer.Entry(w.index))
	}
	var answers []state.Answer
	for _, cmd := range cmds {
		var step *Step
		if tx, ok := cmd.(*command.Tx); ok && entries != nil {
			var err error
			if step, err = entries[0].Before(state.NewView(w.kv), &tx.Tx); err != nil {
				w.t.Fatal(err)
			}
		}
		answer, err := state.Apply(w.kv, w.index, cmd)
		if err != nil {
			w.t.Fatal(err)
		}
		step.After(answer.Tx)
		answers = append(answers, answer)
	}
	if entries != nil {
		w.feed.Publish(entries, w.index)
	}
	return answers
}

// opened forms a cluster with one session, 1.
func opened(t *testing.T) *world {
	w := newWorld(t)
	w.apply(&command.Init{Cluster: "c", Time: 1, Replicas: 1, MinReplicas: 1, InlineMax: 4096, SessionTimeout: 1000})
	w.apply(&command.OpenSession{Mount: fs.Mount{Host: "h", Path: "/mnt"}})
	return w
}

// tx is a transaction of the session.
func (w *world) tx(seq uint64, ops ...fs.Op) *command.Tx {
	return &command.Tx{Tx: fs.Tx{ID: fs.TxID{Session: 1, Seq: seq}, Epoch: 2, Ops: ops}}
}

func (w *world) watch(ino fs.Ino, after fs.Position, subtree string) *Watcher {
	w.t.Helper()
	watcher, err := w.feed.Watch(func() uint64 { return w.index }, after, subtree, func() (fs.Ino, error) { return ino, nil })
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = watcher.Close() }) // it never fails
	return watcher
}

// told is all that a watcher can be told now, and whether something was missing.
func told(t *testing.T, w *Watcher) (list []fs.Change, missing bool) {
	t.Helper()
	for {
		b := w.feed.after(w.at, tellMax)
		c := w.take(b)
		list, missing = append(list, c.List...), missing || c.Missing
		if len(b.list) == 0 {
			return list, missing
		}
	}
}

// tree is what a watcher of everything can tell of the tree: each path's inode.
type tree map[string]fs.Ino

// follow does what a change says, and complains if that cannot be.
func (tr tree) follow(t *testing.T, c fs.Change) {
	t.Helper()
	switch c.Kind {
	case fs.ChangeCreate, fs.ChangeMkdir, fs.ChangeSymlink, fs.ChangeLink:
		if tr[c.Path] != 0 {
			t.Fatalf("%+v: the path is taken", c)
		}
		tr[c.Path] = c.Ino
		return
	case fs.ChangeRename:
		tr.move(t, c)
		return
	}
	if c.Path == "/" && c.Ino == fs.RootIno {
		return
	}
	if tr[c.Path] != c.Ino && !strings.HasSuffix(c.Path, "/"+unknown) {
		t.Fatalf("%+v: the path is inode %d", c, tr[c.Path])
	}
	if c.Kind == fs.ChangeUnlink || c.Kind == fs.ChangeRmdir {
		delete(tr, c.Path)
	}
}

// move moves a path, with what lies below. Of an exchange the second half comes when the first has put the other aside.
func (tr tree) move(t *testing.T, c fs.Change) {
	t.Helper()
	const aside = "\x00"
	from := c.Path
	if tr[from] != c.Ino {
		from = aside + c.Path
	}
	if tr[from] != c.Ino {
		t.Fatalf("%+v: the path is inode %d", c, tr[c.Path])
	}
	if old := tr[c.To]; old != 0 && c.Replaced == 0 {
		tr.carry(c.To, aside+c.To)
	} else if old != c.Replaced {
		t.Fatalf("%+v: replaces %d", c, old)
	}
	delete(tr, c.To)
	tr.carry(from, c.To)
}

func (tr tree) carry(from, to string) {
	for path, ino := range maps.Clone(tr) {
		if path == from || strings.HasPrefix(path, from+"/") {
			delete(tr, path)
			tr[to+strings.TrimPrefix(path, from)] = ino
		}
	}
}

// walk is the tree as the state has it.
func walk(t *testing.T, v state.View, dir fs.Ino, path string, tr tree) tree {
	t.Helper()
	list, err := v.Readdir(dir, 0, fs.ReaddirMax)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Entries {
		tr[path+"/"+e.Name] = e.Attr.Ino
		if e.Attr.IsDir() {
			walk(t, v, e.Attr.Ino, path+"/"+e.Name, tr)
		}
	}
	return tr
}

func paths(list []fs.Change) (out []string) {
	for _, c := range list {
		text := string(c.Kind) + " " + c.Path
		if c.To != "" {
			text += " " + c.To
		}
		out = append(out, text)
	}
	return out
}

func same(t *testing.T, what string, got []fs.Change, want ...string) {
	t.Helper()
	if !slices.Equal(paths(got), want) {
		t.Errorf("%s: told %q, want %q", what, paths(got), want)
	}
}
