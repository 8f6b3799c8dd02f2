package cluster

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/memberlist"

	"dfs/cluster/clusterpb"
	"dfs/fs"
)

// Whatever other nodes say of themselves: nobody of another cluster is admitted, and what is remembered of them is bounded.
func FuzzIdentity(f *testing.F) {
	own := report{addr: "h:1", cluster: "c"}
	other := report{addr: "h:2", cluster: "other"}
	f.Add("n", own.encode())
	f.Add("n", other.encode())
	f.Add("", []byte("\x02"))
	f.Fuzz(func(t *testing.T, name string, meta []byte) {
		ring := &Ring{identity: &identity{self: "me", cluster: "c", log: logger(nil), rejected: map[fs.NodeID]Rejection{}}}
		d := (*delegate)(ring)
		for i := range rejectedMax + 8 {
			n := &memberlist.Node{Name: fmt.Sprint(name, i), Meta: meta}
			rep, decodeErr := decodeReport(meta)
			foreign := decodeErr != nil || rep.cluster != "" && rep.cluster != "c"
			if err := d.NotifyAlive(n); (err != nil) != foreign && fs.NodeID(n.Name) != "me" {
				t.Fatalf("%q of %+v: %v", n.Name, rep, err)
			}
		}
		if n := len(ring.identity.list()); n > rejectedMax {
			t.Errorf("%d nodes that were turned away are remembered", n)
		}
	})
}

// Whatever proposal comes: it is taken apart without a panic, and comes out as it went in.
func FuzzProposal(f *testing.F) {
	seed, err := proto.Marshal(toProto(&Proposal{Cluster: "c", Founders: []Founder{{"a", "h:1"}, {"b", "h:2"}}}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(bytes.Repeat([]byte("\x12\x00"), 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m clusterpb.Proposal
		if proto.Unmarshal(data, &m) != nil {
			return
		}
		p := fromProto(&m)
		again := fromProto(toProto(p))
		if fmt.Sprint(p) != fmt.Sprint(again) {
			t.Errorf("%v became %v", p, again)
		}
	})
}
