package cluster

import (
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"

	"dfs/fs"
)

// delegate is the Ring as memberlist calls it. Except for NodeMeta, memberlist holds its own lock meanwhile: nothing
// here may call memberlist or block.
type delegate Ring

// NodeMeta is the report that goes out with the next alive message.
func (d *delegate) NodeMeta(int) []byte {
	rep := (*Ring)(d).report()
	return rep.encode()
}

// NotifyAlive vetoes alive messages, which is what keeps foreign nodes out however the message came here.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	rep, err := decodeReport(n.Meta)
	if err != nil {
		err = fmt.Errorf("node %s at %s: %w", n.Name, n.Address(), err)
		d.identity.refuse(fs.NodeID(n.Name), n.Address(), err)
		return err
	}
	return d.identity.admit(fs.NodeID(n.Name), n.Address(), rep.cluster)
}

// NotifyMerge vetoes a whole exchange with a peer that knows foreign nodes, so that the peer learns of it too.
func (d *delegate) NotifyMerge(peers []*memberlist.Node) error {
	for _, n := range peers {
		if n.State != memberlist.StateAlive {
			continue // last words of the dead may be of another time
		}
		if err := d.NotifyAlive(n); err != nil {
			return err
		}
	}
	return nil
}

func (d *delegate) NotifyJoin(n *memberlist.Node) { d.heard(n) }

func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.heard(n) }

func (d *delegate) heard(n *memberlist.Node) {
	rep, err := decodeReport(n.Meta)
	if err != nil {
		return // NotifyAlive has refused it
	}
	id := fs.NodeID(n.Name)
	before := d.table.alive(id, n.Address(), rep, time.Now())
	if before != fs.NodeAlive && id != d.cfg.Node {
		d.log.Info("node is alive", "node", id, "addr", rep.addr, "gossip", n.Address(), "was", before)
	}
}

func (d *delegate) NotifyLeave(n *memberlist.Node) {
	id := fs.NodeID(n.Name)
	m, known := d.table.gone(id, time.Now())
	if !known || id == d.cfg.Node {
		return
	}
	if m.State == fs.NodeLeft {
		d.log.Info("node has left", "node", id, "addr", m.Addr)
		return
	}
	d.log.Warn("node does not answer and is taken for dead", "node", id, "addr", m.Addr)
	if d.cfg.Dialer != nil {
		d.cfg.Dialer.Break(m.Addr)
	}
}

// NotifyConflict reports two machines with one node id. A node that has moved looks the same until its old address has
// been declared dead.
func (d *delegate) NotifyConflict(existing, other *memberlist.Node) {
	err := fmt.Errorf("node id %s is used at %s and at %s: if the node has not just moved, a data directory has been copied: %w",
		existing.Name, existing.Address(), other.Address(), fs.ErrExist)
	d.identity.refuse(fs.NodeID(existing.Name), other.Address(), err)
}

// NotifyMsg, GetBroadcasts, LocalState and MergeRemoteState: the ring sends nothing but reports.
func (d *delegate) NotifyMsg([]byte)                {}
func (d *delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (d *delegate) LocalState(bool) []byte          { return nil }
func (d *delegate) MergeRemoteState([]byte, bool)   {}
