package raftmeta

import (
	"errors"
	"sync"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// nameless is the operation that makes a file without a name and pins it.
func (s *testSession) nameless() *fs.Create {
	o := s.create("")
	o.Parent, o.Pin = 0, true
	return o
}

func TestCreateWithPin_IsPinnedBeforeItIsProposedAndNotReaped(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	n := c.leader()
	st := c.attach(s.Session)
	file := s.nameless()
	before := make(chan int, 1)
	var once sync.Once
	c.onStep(n.cfg.ID, "propose.before", func() error {
		once.Do(func() { before <- c.pinned(file.Ino) })
		return nil
	})
	answer, err := n.CommitEncoded(c.ctx(), command.Encode(txCommand(s.tx(file))))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := command.DecodeResult(answer); err != nil || r.Err != fs.CodeOK || r.Results[0].Attr.Ino != file.Ino {
		t.Fatal(r, err)
	}
	if got := <-before; got != 1 {
		t.Errorf("pinned by %d sessions before it was proposed", got)
	}
	free := c.orphan(s, "free")
	c.eventually("what nobody pins is reaped", func() bool { return !c.exists(free) })
	if !c.exists(file.Ino) {
		t.Fatal("the nameless file was reaped")
	}
	if err := beat(st, 1, file.Ino); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is reaped when it is unpinned", func() bool { return !c.exists(file.Ino) })
}

func TestCreateWithPin_ThatIsRefusedLeavesNoPinButThoseOfOthers(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	first, twin := s.create("a"), s.create("a")
	first.Pin, twin.Pin = true, true
	c.must(c.leader(), s.tx(first))
	plain := s.create("b")
	c.must(c.leader(), s.tx(plain))
	again := *first // the same inode once more: a mistake, which must not cost the pin that is there
	again.Name = "c"
	for _, op := range []*fs.Create{twin, &again} {
		r, err := c.leader().Commit(c.ctx(), s.tx(op))
		if err != nil || r.Err == fs.CodeOK {
			t.Fatal(r, err)
		}
	}
	for ino, want := range map[fs.Ino]int{first.Ino: 1, twin.Ino: 0, plain.Ino: 0} {
		if got := c.pinned(ino); got != want {
			t.Errorf("inode %d is pinned by %d sessions, want %d", ino, got, want)
		}
	}
}

func TestCreateWithPin_WhoseAnswerWasLostIsPinnedAtTheNextLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	old := c.leader()
	file := s.nameless()
	tx := s.tx(file)
	var lost sync.Once
	c.onStep(old.cfg.ID, "propose.after", func() (err error) {
		lost.Do(func() { err = fs.ErrUnavailable })
		return err
	})
	if _, err := old.Commit(c.ctx(), tx); !errors.Is(err, fs.ErrUnavailable) {
		t.Fatal(err)
	}
	c.stop(old.cfg.ID)
	if r := c.retry(tx); r.Err != fs.CodeOK || r.Results[0].Attr.Ino != file.Ino {
		t.Fatal(r)
	}
	if c.pinned(file.Ino) != 1 {
		t.Error("the leader that gave the remembered answer has not pinned it")
	}
	st := c.attach(s.Session, file.Ino) // on the mount's list since before the first attempt
	if err := beat(st, 1); err != nil {
		t.Fatal(err)
	}
	free := c.orphan(s, "free")
	c.eventually("what nobody pins is reaped", func() bool { return !c.exists(free) })
	if !c.exists(file.Ino) {
		t.Error("it was reaped")
	}
}

func TestCreateWithPin_OfASessionThatHasEndedIsFenced(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	if err := c.leader().CloseSession(c.ctx(), s.Session); err != nil {
		t.Fatal(err)
	}
	if _, err := c.leader().Commit(c.ctx(), s.tx(s.nameless())); !errors.Is(err, fs.ErrFenced) {
		t.Error(err)
	}
}
