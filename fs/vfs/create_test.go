package vfs

import (
	"errors"
	"sync"
	"syscall"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// makers are the two calls that make a file and open it.
func makers() map[string]func(*mount) (*Handle, error) {
	return map[string]func(*mount) (*Handle, error){
		"named": func(m *mount) (*Handle, error) {
			_, h, err := m.Create(ctxT(m.t), Caller{}, fs.RootIno, "f", 0o644, rw|syscall.O_EXCL)
			return h, err
		},
		"nameless": func(m *mount) (*Handle, error) {
			_, h, err := m.Tmpfile(ctxT(m.t), Caller{}, fs.RootIno, 0o600, rw)
			return h, err
		},
	}
}

// answering has fn run once, between the next decision and its answer.
func (m *mount) answering(fn func() error) {
	var once sync.Once
	m.sw.hook("commit.answer", func() (err error) {
		once.Do(func() { err = fn() })
		return err
	})
}

// holds fails unless the handle's file is there and pinned, and is let go with the handle.
func (w *world) holds(t *testing.T, m *mount, h *Handle) {
	t.Helper()
	eventually(t, "it is pinned", func() bool { return w.meta.Pins() == 1 })
	if err := w.meta.Reap(); err != nil {
		t.Fatal(err)
	}
	h.mustWrite(t, []byte("data"), 0)
	h.mustFlush(t)
	h.mustBe(t, []byte("data"))
	h.Release()
	eventually(t, "it is unpinned", func() bool { return w.meta.Pins() == 0 })
}

func TestCreateAndOpen_IsOneCall(t *testing.T) {
	for name, makeOne := range makers() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
			m := w.mount(t, Config{})
			warm(t, m)
			eventually(t, "nothing is pinned", func() bool { return w.meta.Pins() == 0 })
			commits, pins, inos := m.sw.count("commit"), m.sw.count("pin"), m.sw.count("allocinos")
			h, err := makeOne(m)
			if err != nil {
				t.Fatal(err)
			}
			commits, pins, inos = m.sw.count("commit")-commits, m.sw.count("pin")-pins, m.sw.count("allocinos")-inos
			if commits != 1 || pins != 0 || inos != 0 {
				t.Errorf("%d commits, %d pins, %d ranges of inode numbers", commits, pins, inos)
			}
			if w.meta.Pins() != 1 {
				t.Errorf("%d pins", w.meta.Pins())
			}
			w.holds(t, m, h)
		})
	}
}

func TestCreateAndOpen_SurvivesARemovalAndAReapBeforeItsAnswer(t *testing.T) {
	for name, makeOne := range makers() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, localmeta.Config{})
			m, other := w.mount(t, Config{}), w.mount(t, Config{})
			m.answering(func() error {
				if name == "named" {
					if err := other.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
						return err
					}
				}
				return w.meta.Reap()
			})
			h, err := makeOne(m)
			if err != nil {
				t.Fatal(err)
			}
			w.holds(t, m, h)
		})
	}
}

// The leader decides, and loses the leadership before it answers; the next one is told by Attach what is being made.
func TestCreateAndOpen_SurvivesAChangeOfLeadersBeforeItsAnswer(t *testing.T) {
	for name, makeOne := range makers() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
			m := w.mount(t, Config{})
			eventually(t, "the session is attached", func() bool { return m.sw.count("beat") > 0 })
			m.answering(func() error {
				if err := w.meta.Failover(); err != nil {
					return err
				}
				eventually(t, "the next leader has been told", func() bool { return w.meta.Pins() == 1 })
				beats := m.sw.count("beat")
				eventually(t, "and the first beat is past", func() bool { return m.sw.count("beat") > beats+1 })
				return errors.Join(w.meta.Reap(), fs.ErrUnavailable)
			})
			pins := m.sw.count("pin")
			h, err := makeOne(m)
			if err != nil {
				t.Fatal(err)
			}
			if m.sw.count("pin") != pins {
				t.Error("it was pinned by a call")
			}
			w.holds(t, m, h)
		})
	}
}

// The session that made the file ends before the answer comes: what is left of the file belongs to nobody until the
// next session has pinned it.
func TestCreateAndOpen_UnderASessionThatEndedMeanwhile(t *testing.T) {
	for name, makeOne := range makers() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
			m := w.mount(t, Config{})
			m.answering(func() error {
				old := expire(t, w, m)
				eventually(t, "there is another session", func() bool { r := m.sessions.get(); return r != nil && r != old })
				return w.meta.Reap()
			})
			h, err := makeOne(m)
			if name == "nameless" {
				mustBeErr(t, err, fs.ErrStale)
			} else if err != nil {
				t.Fatal(err)
			} else {
				w.holds(t, m, h)
			}
			eventually(t, "nothing is held", func() bool { return len(m.pins.all()) == 0 && w.meta.Pins() == 0 })
		})
	}
}

func TestCreate_ThatIsRefusedLeavesNoPin(t *testing.T) {
	// A line that breaks would be attached again, with a list of what is held just then.
	w := newWorld(t, localmeta.Config{TimeoutMillis: 2000})
	m := w.mount(t, Config{})
	// Else the first beat may tell what is being made, and the leader leaves that to the mount's unpin.
	eventually(t, "the first beat is past", func() bool { return m.sw.count("beat") > 1 })
	if _, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "f", 0o755); err != nil {
		t.Fatal(err)
	}
	if w.meta.Pins() != 0 {
		t.Error("a directory that was made is pinned")
	}
	_, err := makers()["named"](m)
	mustBeErr(t, err, fs.ErrExist)
	if w.meta.Pins() != 0 {
		t.Error("the leader pins what was never made")
	}
	eventually(t, "the mount has forgotten it", func() bool {
		m.pins.mu.Lock()
		defer m.pins.mu.Unlock()
		return len(m.pins.held) == 0
	})
}
