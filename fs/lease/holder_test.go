package lease

import (
	"testing"
	"time"

	"dfs/fs"
)

func attached(term uint64) *Holder {
	h := NewHolder()
	h.Renew(0, 10*time.Second)
	h.Attached(term)
	return h
}

func grant(h *Holder, term uint64, g Grant) bool {
	m := h.Leave()
	defer h.Back()
	return h.Granted(m, term, g)
}

// The leader ends a session that does not answer a recall, although it answers the session's beats; so these must not make
// the mount believe in its leases for longer than that.
func TestUnansweredRecall_BoundsTheUseOfLeases(t *testing.T) {
	h := attached(1)
	for _, ino := range []fs.Ino{7, 8} {
		if !grant(h, 1, Grant{Ino: ino, Mode: Exclusive, Seq: uint64(ino)}) {
			t.Fatal("not taken")
		}
	}
	h.Recalled(Recall{Ino: 7, Seq: 7})
	h.Renew(8*time.Second, 10*time.Second)
	h.Recalled(Recall{Ino: 8, Seq: 8})
	if got := h.Until(); got != 10*time.Second {
		t.Fatalf("with a recall unanswered leases are used until %v", got)
	}
	h.Close(7)
	if _, ok := h.GiveBack(7); !ok {
		t.Fatal("nothing given back")
	}
	if got := h.Until(); got != 18*time.Second {
		t.Fatalf("with the younger recall unanswered: %v", got)
	}
	h.Renew(12*time.Second, 10*time.Second)
	h.Close(8)
	h.GiveBack(8)
	if got := h.Until(); got != 22*time.Second {
		t.Fatalf("with all answered: %v", got)
	}
}

func TestGrant_OfAnotherLeaderIsNotTaken(t *testing.T) {
	h := attached(1)
	m := h.Leave()
	h.Reclaim()
	if h.Granted(m, 1, Grant{Ino: 7, Mode: Shared, Seq: 1}) {
		t.Fatal("a grant was taken that is on no list")
	}
	if grant(h, 1, Grant{Ino: 7, Mode: Shared, Seq: 1}) {
		t.Fatal("a grant was taken before anybody was attached to")
	}
	h.Attached(2)
	if grant(h, 1, Grant{Ino: 7, Mode: Shared, Seq: 1}) {
		t.Fatal("a grant of the last leader was taken")
	}
	if !grant(h, 2, Grant{Ino: 7, Mode: Shared, Seq: 1}) {
		t.Fatal("a grant of the present leader was not taken")
	}
}

// Else two mounts that take a lease from each other might both throw away each one, since a recall of the last always comes while the
// next is on its way.
func TestGrant_AfterTheRecallOfAnEarlierOneIsTaken(t *testing.T) {
	h := attached(1)
	m := h.Leave()
	defer h.Back()
	if a, now := h.Recalled(Recall{Ino: 7, Seq: 3}); !now || a.Seq != 3 {
		t.Fatal("the recall of what is not held is not answered at once")
	}
	if h.Granted(m, 1, Grant{Ino: 7, Mode: Exclusive, Seq: 3}) {
		t.Fatal("a grant was taken that its recall has overtaken")
	}
	if !h.Granted(m, 1, Grant{Ino: 7, Mode: Exclusive, Seq: 4}) {
		t.Fatal("a grant was not taken because of the recall of another")
	}
}

func TestGrant_OfANewLeaderHasNumbersOfItsOwn(t *testing.T) {
	h := attached(1)
	h.Leave() // in the air all the time
	defer h.Back()
	h.Recalled(Recall{Ino: 7, Seq: 1000})
	h.Reclaim()
	h.Attached(2)
	if !grant(h, 2, Grant{Ino: 7, Mode: Shared, Seq: 1}) {
		t.Fatal("a grant was not taken because of another leader's recall")
	}
}

// An answer may be on its way while the lease goes back unasked. Whoever took it then would hold what the leader has given away.
func TestGrant_FromBeforeALeaseWentBackUnaskedIsNotTaken(t *testing.T) {
	h, table := attached(1), NewTable(nil)
	ask := func() Grant {
		r := &Request{Session: 1, Ino: 7, Kind: Hold, Mode: Shared}
		table.Ask(r)
		return r.Grant
	}
	unask := func() Ack {
		h.Unwanted(7, None)
		h.Close(7)
		a, ok := h.GiveBack(7)
		if !ok {
			t.Fatal("nothing to give back")
		}
		return a
	}
	agree := func(when string) {
		t.Helper()
		if got, want := h.Held(7).Mode, table.Holds(1, 7); got > want {
			t.Fatalf("%s the mount believes in a lease %s, the leader has given %s", when, got, want)
		}
	}

	early := h.Leave()
	first := ask() // its answer is slow
	grant(h, 1, ask())
	table.Ack(1, unask())
	h.Granted(early, 1, first)
	h.Back()
	agree("after a slow answer")

	grant(h, 1, ask())
	ack := unask() // it waits for a beat
	grant(h, 1, ask())
	table.Ack(1, ack)
	agree("after a call that was faster than the answer to nobody's recall")
}
