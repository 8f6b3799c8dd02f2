package raftmeta

import (
	"errors"
	"strings"
	"testing"

	"dfs/fs"
)

func TestRaftStatus_TellsOfEveryMemberAtTheLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	c.eventually("the leader knows the others' logs", func() bool {
		s, err := leader.Raft(c.ctx())
		if err != nil || s.State != "leader" || !s.Quorum || s.Leader != leader.cfg.ID || s.Term == 0 || s.First != 1 || s.Last < s.Commit || len(s.Servers) != 3 {
			t.Fatalf("%+v, %v", s, err)
		}
		for _, m := range s.Servers {
			if !m.Voter || m.Addr != addrOf(m.ID) {
				t.Fatalf("%+v", m)
			}
			if m.Last != s.Last || m.ContactMillis < 0 {
				return false
			}
		}
		return true
	})
	for _, n := range c.nodes {
		if n == leader {
			continue
		}
		s, err := n.Raft(c.ctx())
		if err != nil || s.State != "follower" || s.Leader != leader.cfg.ID || s.ContactMillis < 0 {
			t.Errorf("%+v, %v", s, err)
		}
		for _, m := range s.Servers { // a follower cannot know how far another one is
			if m.ID != n.cfg.ID && (m.Last != 0 || m.ContactMillis != -1) {
				t.Errorf("%s claims to know %+v", n.cfg.ID, m)
			}
		}
	}
}

func TestExplain_LeadsToTheTransactionThatBroughtABlob(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.leader()
	s := c.session()
	dir := fs.Create{Parent: fs.RootIno, Name: "d", Ino: s.next, Type: fs.TypeDir, Mode: 0o755}
	file := fs.Create{Parent: dir.Ino, Name: "f", Ino: dir.Ino + 1, Type: fs.TypeRegular, Mode: 0o644}
	link := fs.Create{Parent: dir.Ino, Name: "l", Ino: dir.Ino + 2, Type: fs.TypeSymlink, Target: "f"}
	id := fs.BlobID{Session: s.ID, Counter: 9}
	tx := s.tx(&dir, &file, &link, &fs.Write{Ino: file.Ino, Extents: []fs.Extent{{Off: 0, Len: 100, Blob: id}, {Off: 100, Len: 3, Data: []byte("abc")}}})
	tx.Blobs = []fs.BlobInfo{{ID: id, Length: 100, Sum: 7, Replicas: []fs.NodeID{"n1"}}}
	result := c.must(n, tx)
	for _, path := range []string{"/d/f", "d//./f", "/d/x/../f"} {
		e, err := n.Explain(c.ctx(), path)
		if err != nil {
			t.Fatal(err)
		}
		if e.Path != "/d/f" || e.Attr.Ino != file.Ino || !e.Quorum || e.Index < result.Index || len(e.Extents) != 2 || e.Extents[1].Data != nil || len(e.Blobs) != 1 {
			t.Fatalf("%+v", e)
		}
		b := e.Blobs[0]
		if b.ID != id || b.Tx != tx.ID || b.Index != result.Index || b.Wanted != 3 || b.LiveBytes != 100 || len(e.Nodes) != 1 || e.Nodes[0].Addr != "n1:1" {
			t.Errorf("%+v on %+v, the decision was at %d", b, e.Nodes, result.Index)
		}
	}
	if e, err := n.Explain(c.ctx(), "/d/l"); err != nil || e.Target != "f" || e.Extents != nil {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := n.Explain(c.ctx(), "/"); err != nil || e.Attr.Ino != fs.RootIno || e.Path != "/" {
		t.Errorf("%+v, %v", e, err)
	}
	for path, want := range map[string]error{"/x": fs.ErrNotExist, "/d/f/g": fs.ErrNotDir, "/" + strings.Repeat("x", fs.PathMax): fs.ErrInvalid, "/\x00": fs.ErrInvalid} {
		if _, err := n.Explain(c.ctx(), path); !errors.Is(err, want) {
			t.Errorf("%.10q: %v", path, err)
		}
	}
}
