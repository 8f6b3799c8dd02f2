package e2e

import (
	"bytes"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"dfs/test/harness"

	"golang.org/x/sys/unix"
)

// shortSession is the session's time-out where tests wait for its end.
const shortSession = 2 * time.Second

// change is what one mount changes while another, which has seen it, is stopped, and how that one can see it.
type change struct {
	name  string
	make  request   // by the one, paths relative to its mount
	looks []request // by the other
	stale func(answer) bool
}

func isThere(a answer) bool   { return a.Err == "" }
func isMissing(a answer) bool { return a.Errno == unix.ENOENT }
func is(old string) func(answer) bool {
	return func(a answer) bool { return a.Err == "" && string(a.Data) == old }
}

// changes change what prepareFence has made.
func changes() []change {
	old, now := bytes.Repeat([]byte("o"), 8192), bytes.Repeat([]byte("n"), 8192)
	return []change{
		{"data", request{Do: "write", Path: "data", Data: now},
			[]request{{Do: "pread", Handle: "data", Len: 8192}, {Do: "read", Path: "data"}}, is(string(old))},
		{"size", request{Do: "truncate", Path: "size", Off: 5}, []request{{Do: "stat", Path: "size"}, {Do: "fstat", Handle: "size"}}, is("8192 755")},
		{"name", request{Do: "unlink", Path: "gone"}, []request{{Do: "stat", Path: "gone"}, {Do: "open", Path: "gone", To: "x"}}, isThere},
		{"no name", request{Do: "mkdir", Path: "new"}, []request{{Do: "stat", Path: "new"}}, isMissing},
		{"moved", request{Do: "rename", Path: "old name", To: "new name"}, []request{{Do: "stat", Path: "old name"}}, isThere},
		{"listing", request{Do: "write", Path: "list/two"}, []request{{Do: "list", Path: "list"}}, is("one")},
	}
}

// in makes the paths of a request those of a mount.
func in(m *harness.Mount, r request) request {
	if r.Path != "" {
		r.Path = m.Path(r.Path)
	}
	if r.Do == "rename" {
		r.To = m.Path(r.To)
	}
	return r
}

// prepareFence makes files through b and has a, and a's kernel, see them.
func prepareFence(aa, ba *agent, a, b *harness.Mount) {
	old := bytes.Repeat([]byte("o"), 8192)
	for _, name := range []string{"data", "size", "gone", "old name"} {
		ba.do(in(b, request{Do: "write", Path: name, Data: old}))
	}
	ba.do(in(b, request{Do: "mkdir", Path: "list"}))
	ba.do(in(b, request{Do: "write", Path: "list/one"}))
	for _, name := range []string{"data", "size"} {
		aa.do(in(a, request{Do: "open", Path: name, To: name}))
	}
	aa.do(request{Do: "mmap", Handle: "data", To: "data", Len: 8192})
	aa.do(request{Do: "peek", Handle: "data", Len: 8192})
	harness.Eventually(aa.t, patience, func() error { return cached(aa, a) })
}

// cached has a mount look, and is nil if its kernel could look again without it. The first looks may find what b holds exclusively, and
// bring no lease.
func cached(aa *agent, a *harness.Mount) error {
	for _, c := range changes() {
		for _, look := range c.looks {
			aa.begin(in(a, look)).end()
		}
	}
	a.Signal(syscall.SIGSTOP)
	defer a.Signal(syscall.SIGCONT)
	for _, c := range changes() {
		if look := c.looks[0]; look.Do != "list" {
			if _, ok := aa.begin(in(a, look)).within(100 * time.Millisecond); !ok {
				return errorf("the kernel asks the mount to %s %s%s", look.Do, look.Path, look.Handle)
			}
		}
	}
	return nil
}

// watcher makes a mount look at something again and again, and remembers what it saw.
type watcher struct {
	looks []pending
	stop  chan struct{}
	done  sync.WaitGroup
}

// watch looks now, and once more whenever the last look has been answered, or has not been for a while: then the kernel could
// not answer it by itself.
func watch(a *agent, r request) *watcher {
	w := &watcher{stop: make(chan struct{})}
	w.done.Go(func() {
		for {
			select {
			case <-w.stop:
				return
			default:
			}
			p := a.begin(r)
			w.looks = append(w.looks, p)
			if _, ok := p.within(100 * time.Millisecond); ok {
				time.Sleep(5 * time.Millisecond) // so that looks are not too many to remember
			}
		}
	})
	return w
}

// end returns all that was seen.
func (w *watcher) end() []answer {
	close(w.stop)
	w.done.Wait()
	var all []answer
	for _, p := range w.looks {
		all = append(all, p.end())
	}
	return all
}

func TestStoppedMount_ShowsNothingStaleOnceOthersChangeIt(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--session-timeout", shortSession.String())
	a, b := c.Mount(longFlush), c.Mount()
	changeBehind(t, a, b, func() { a.Signal(syscall.SIGSTOP) }, func() { a.Signal(syscall.SIGCONT) })
}

func TestMountCutOff_ShowsNothingStaleOnceOthersChangeIt(t *testing.T) {
	t.Parallel()
	c, fabric := harness.StartNetnsCluster(t, 3, "--session-timeout", shortSession.String())
	a, b := c.MountAt("lonely", longFlush), c.Mount()
	changeBehind(t, a, b, func() { fabric.CutHost("lonely") }, func() { fabric.HealHost("lonely") })
}

// changeBehind changes through b what a and its kernel have cached, while a cannot be asked to give it back. From the moment in which
// b's call returns, no new call through a may show what was before.
func changeBehind(t *testing.T, a, b *harness.Mount, leave, back func()) {
	t.Helper()
	aa, ba := newAgent(t), newAgent(t)
	prepareFence(aa, ba, a, b)

	leave()
	left := time.Now()
	all := changes()
	watchers := make([][]*watcher, len(all))
	made := make([]pending, len(all))
	for i, c := range all {
		for _, look := range c.looks {
			watchers[i] = append(watchers[i], watch(aa, in(a, look)))
		}
		made[i] = ba.begin(in(b, c.make))
	}
	for i, c := range all {
		made[i].ok()
		took := made[i].end().ended().Sub(left)
		t.Logf("%s: changed after %s", c.name, took.Round(time.Millisecond))
		if took > 5*shortSession {
			t.Errorf("%s: changed %s after the other mount had gone", c.name, took)
		}
	}
	// All is changed. What the kernel answers by itself from now on is right, and so is what the mount answers when it is back.
	last := make([]pending, 0, 2*len(all))
	for _, c := range all {
		for _, look := range c.looks {
			last = append(last, aa.begin(in(a, look)))
		}
	}
	last[0].within(300 * time.Millisecond)
	back()
	for i, c := range all {
		for k, w := range watchers[i] {
			looks := append(w.end(), last[0].end())
			last = last[1:]
			t.Logf("%s: %s: %s", c.name, c.looks[k].Do, judge(t, c, looks, made[i].end().ended()))
		}
	}
	if got := aa.do(request{Do: "peek", Handle: "data", Len: 1}); got != "n" {
		t.Errorf("the mapping shows %q when the mount has a new session", got)
	}
	// It goes on.
	aa.do(in(a, request{Do: "write", Path: "again", Data: []byte("again")}))
	if got := ba.do(in(b, request{Do: "read", Path: "again"})); got != "again" {
		t.Errorf("got %q", got)
	}
	if got, want := aa.do(in(a, request{Do: "list", Path: "list"})), ba.do(in(b, request{Do: "list", Path: "list"})); got != want {
		t.Errorf("the mounts list %q and %q", got, want)
	}
}

// judge fails the test for each look that was begun after a change and shows what was before, and describes all.
func judge(t *testing.T, c change, looks []answer, changed time.Time) string {
	t.Helper()
	stale := 0
	for _, got := range looks {
		if !c.stale(got) {
			continue
		}
		stale++
		if late := time.Unix(0, got.Began).Sub(changed); late > 0 {
			t.Errorf("%s: a call begun %s after the change was answered with what was before", c.name, late)
		}
	}
	return fmt.Sprintf("%d looks, %d of them at what was before", len(looks), stale)
}

func TestStoppedMount_LosesWhatWasNotSyncedAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--session-timeout", shortSession.String(), "--garbage-grace", "1s", "--sweep-interval", "1s")
	a, b := c.Mount(longFlush), c.Mount()
	aa, ba := newAgent(t), newAgent(t)
	synced, dirty := []byte("synced"), []byte("unsynced")
	for _, name := range []string{"lost", "kept"} {
		ba.do(in(b, request{Do: "write", Path: name, Data: synced}))
	}
	open := func(name, handle string) {
		aa.do(in(a, request{Do: "open", Path: name, To: handle, Flags: unix.O_RDWR}))
	}
	open("lost", "fsyncs")
	open("lost", "closes")
	open("kept", "kept")
	aa.do(request{Do: "pwrite", Handle: "kept", Data: []byte("SYNCED")})
	aa.do(request{Do: "fsync", Handle: "kept"})
	aa.do(request{Do: "pwrite", Handle: "fsyncs", Data: dirty})

	a.Signal(syscall.SIGSTOP)
	if got := ba.do(in(b, request{Do: "read", Path: "lost"})); got != string(synced) {
		t.Errorf("the other mount reads %q", got)
	}
	ba.do(in(b, request{Do: "write", Path: "lost", Data: []byte("other")}))
	a.Signal(syscall.SIGCONT)

	for _, step := range []struct {
		r    request
		want syscall.Errno
	}{
		{request{Do: "fsync", Handle: "fsyncs"}, unix.EIO},
		{request{Do: "fsync", Handle: "fsyncs"}, 0},
		{request{Do: "close", Handle: "fsyncs"}, 0},
		{request{Do: "close", Handle: "closes"}, unix.EIO},
		{request{Do: "fsync", Handle: "kept"}, 0},
		{request{Do: "close", Handle: "kept"}, 0},
	} {
		if got := aa.begin(step.r).end(); got.Errno != step.want {
			t.Errorf("%s of %q: %s, want errno %d", step.r.Do, step.r.Handle, got.Err, step.want)
		}
	}
	for m, ag := range map[*harness.Mount]*agent{a: aa, b: ba} {
		if got := ag.do(in(m, request{Do: "read", Path: "lost"})); got != "other" {
			t.Errorf("%s reads %q", m.Dir, got)
		}
		if got := ag.do(in(m, request{Do: "read", Path: "kept"})); got != "SYNCED" {
			t.Errorf("%s reads %q of what was synced", m.Dir, got)
		}
	}
	open("lost", "again")
	aa.do(request{Do: "pwrite", Handle: "again", Data: []byte("AGAIN")})
	aa.do(request{Do: "fsync", Handle: "again"})
	aa.do(request{Do: "close", Handle: "again"})
	if got := ba.do(in(b, request{Do: "read", Path: "lost"})); got != "AGAIN" {
		t.Errorf("the other mount reads %q of what was written after the loss", got)
	}
	c.WaitSettled(time.Minute)
}

// A mount that is stopped in the middle of a flush goes on with it when its session has ended: neither a storage node nor the leader
// takes anything of it.
func TestMountStoppedInAFlush_ChangesNothingWhenItGoesOn(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--session-timeout", shortSession.String(), "--garbage-grace", "1s", "--sweep-interval", "1s")
	b := c.Mount()
	for _, step := range []string{"flush.prepare.before", "replica.stage.before", "flush.prepare.after", "flush.decide.before"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			name := step
			ba := newAgent(t)
			old, late, now := bytes.Repeat([]byte("o"), 100_000), bytes.Repeat([]byte("l"), 100_000), bytes.Repeat([]byte("n"), 100_000)
			ba.do(in(b, request{Do: "write", Path: name, Data: old}))
			a, aa := c.MountWith([]string{"DFS_FAILPOINTS=" + step + "=stop@1"}, longFlush), newAgent(t)
			aa.do(in(a, request{Do: "open", Path: name, To: "f", Flags: unix.O_RDWR}))
			aa.do(request{Do: "pwrite", Handle: "f", Data: late})
			sync := aa.begin(request{Do: "fsync", Handle: "f"})
			if got := ba.do(in(b, request{Do: "read", Path: name})); got != string(old) {
				t.Errorf("the other mount reads %.10q…", got)
			}
			ba.do(in(b, request{Do: "write", Path: name, Data: now}))
			if _, ok := sync.within(0); ok {
				t.Error("fsync has been answered: the step was never reached")
			}
			a.Signal(syscall.SIGCONT)
			if got := sync.end(); got.Errno != unix.EIO {
				t.Errorf("fsync of what was lost: %q", got.Err)
			}
			for m, ag := range map[*harness.Mount]*agent{a: aa, b: ba} {
				if got := ag.do(in(m, request{Do: "read", Path: name})); got != string(now) {
					t.Errorf("%s reads %.10q…", m.Dir, got)
				}
			}
			aa.do(request{Do: "pwrite", Handle: "f", Data: late})
			aa.do(request{Do: "fsync", Handle: "f"})
			aa.do(request{Do: "close", Handle: "f"})
			if got := ba.do(in(b, request{Do: "read", Path: name})); got != string(late) {
				t.Errorf("the other mount reads %.10q… of what was synced under the next session", got)
			}
		})
	}
	t.Cleanup(func() { c.WaitSettled(time.Minute) })
}

// A mount that is gone for good holds up others for the rest of its session.
func TestMountKilled_HoldsUpOthersForItsSession(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--session-timeout", shortSession.String())
	a, b := newSide(t, c, longFlush), newSide(t, c)
	a.does(request{Do: "mkdir", Path: "dir"})
	a.does(request{Do: "write", Path: "dir/f", Data: []byte("never flushed")})
	a.Kill()
	killed := time.Now()
	wrote := b.begin(in(b.Mount, request{Do: "write", Path: "dir/f", Data: []byte("other")}))
	wrote.ok()
	took := wrote.end().ended().Sub(killed)
	t.Logf("changed after %s", took.Round(time.Millisecond))
	if took > 5*shortSession {
		t.Errorf("changed %s after the other mount had been killed", took)
	}
	if got := b.does(request{Do: "read", Path: "dir/f"}); got != "other" {
		t.Errorf("got %q", got)
	}
}

// What a mount alone knows, it tells the next leader's callers, too: nothing is lost when the leader that granted the leases is cut off.
func TestLeaderCutOff_TheNextOneHasLeasesGivenBack(t *testing.T) {
	t.Parallel()
	c, fabric := harness.StartNetnsCluster(t, 3)
	a, b := newSide(t, c, longFlush), newSide(t, c)
	a.does(request{Do: "mkdir", Path: "dir"})
	a.opened("dir/f", unix.O_RDWR|unix.O_CREAT)
	a.do(request{Do: "fsync", Handle: "dir/f"})
	a.do(request{Do: "pwrite", Handle: "dir/f", Data: []byte("unsynced")})
	lost := c.Leader()
	fabric.Cut(lost)
	began := time.Now()
	if got := b.does(request{Do: "read", Path: "dir/f"}); got != "unsynced" {
		t.Errorf("the other mount reads %q", got)
	}
	t.Logf("read after %s", time.Since(began).Round(time.Millisecond))
	b.does(request{Do: "write", Path: "dir/f", Data: []byte("other")})
	if got := a.do(request{Do: "pread", Handle: "dir/f", Len: 100}); got != "other" {
		t.Errorf("read %q", got)
	}
	a.do(request{Do: "fsync", Handle: "dir/f"})
	for _, s := range []side{a, b} {
		if s.Logged("fenced") {
			t.Errorf("%s has lost its session", s.Dir)
		}
	}
	fabric.Heal(lost)
	c.WaitFormed(3)
}
