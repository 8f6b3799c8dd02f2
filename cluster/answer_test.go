package cluster

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"dfs/cluster/pki"
)

const getMethod = "/dfs.blob.v1.Blobs/Get"

func askForOne(r *rude) {
	id := r.open(getMethod)
	r.send(id, message(0, nil))
	r.finish(id)
}

// mustAnswer has a peer ask for blobs, one after the other, and take them.
func (h *host) mustAnswer(t *testing.T, d *Dialer, blobs int) {
	t.Helper()
	conn, err := d.DialGRPC(h.tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for range blobs {
		reply := new(wrapperspb.BytesValue)
		if err := conn.Invoke(testContext(t, 20*time.Second), getMethod, new(wrapperspb.BytesValue), reply, grpc.WaitForReady(true)); err != nil || len(reply.GetValue()) != 4<<20 {
			t.Fatalf("who takes what it asks for: %d bytes, %v", len(reply.GetValue()), err)
		}
	}
}

// A mount that asks for a thousand blobs and takes none of them has them made as it takes them.
func TestThousandAnswersThatNobodyTakes_AreNotMade(t *testing.T) {
	h := newHost(t, nil)
	d := h.peer(t, pki.RoleMount, "bad")
	bad := newRude(t, d, h.tr.Addr())
	before := heap()
	for range 1000 {
		askForOne(bad)
	}
	most := int32(budgets[gets].peer / (4 << 20))
	eventually(t, 30*time.Second, "some are made", func() bool { return h.made.Load() >= most-1 })
	const taken = 20
	h.mustAnswer(t, h.peer(t, pki.RoleMount, "good"), taken) // meanwhile as many more could have been made
	if n := h.made.Load() - taken; n > most {
		t.Errorf("%d answers were made, at most %d should", n, most)
	}
	if grown := heap() - before; grown > 2*budgets[gets].peer {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	drop(bad.conn)
	eventually(t, 5*time.Second, "what waited on the connection ends with it", func() bool { return h.server.intake.all[gets].TryAcquire(budgets[gets].all) })
	h.server.intake.all[gets].Release(budgets[gets].all)
	h.mustAnswer(t, d, 1)
}

func TestAnswerThatIsNotTaken_EndsItsConnection(t *testing.T) {
	h := newHost(t, func(in *intake) { in.answerTimeout = 500 * time.Millisecond })
	bad := newRude(t, h.peer(t, pki.RoleMount, "bad"), h.tr.Addr())
	askForOne(bad)
	h.mustServe(t)
	bad.awaitCutOff(10 * time.Second)
	h.mustLog(t, "an answer was not taken", "method="+getMethod, `from="mount bad"`)
	eventually(t, 5*time.Second, "nothing is held", func() bool { return h.server.intake.all[gets].TryAcquire(budgets[gets].all) })
}
