package state_test

import (
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

func TestAccess_RaisesTheAtimeThatTheReaderKnewAndNothingElse(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	want := c.attr(2)
	seen := want.Atime
	want.Atime = 100
	if a := c.ok(&fs.Access{Ino: 2, Seen: seen, Time: 100}).Attr; a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
	// Once it has been set to something else, an earlier read means nothing.
	c.ok(&fs.Access{Ino: 2, Seen: seen, Time: 200})
	if a := c.attr(2); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
	c.ok(&fs.Setattr{Ino: 2, Set: fs.SetAtime, Atime: 5})
	if a := c.ok(&fs.Access{Ino: 2, Seen: 100, Time: 200}).Attr; a.Atime != 5 {
		t.Errorf("utimes is undone: %+v", a)
	}
	if r := c.ok(&fs.Access{Ino: 99, Time: 200}); r != (fs.Result{}) {
		t.Errorf("an access to nothing: %+v", r)
	}
}

func TestAccess_OfABoundSessionPassesOverWhatLiesOutside(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "d")
	c.make(fs.TypeRegular, 2, 3, "in")
	c.file(4, "out")
	inside, outside := c.attr(3), c.attr(4)
	s := c.do(&command.OpenSession{Mount: fs.Mount{Subtree: "/d"}}).Session
	c.as(s, func() {
		r := c.ok(&fs.Access{Ino: 4, Seen: outside.Atime, Time: 900}, &fs.Access{Ino: 98, Time: 900},
			&fs.Access{Ino: 3, Seen: inside.Atime, Time: 900})
		if r.Attr.Ino != 3 || r.Attr.Atime != 900 {
			t.Errorf("%+v", r)
		}
	})
	if c.attr(4) != outside {
		t.Errorf("what lies outside is %+v", c.attr(4))
	}
}
