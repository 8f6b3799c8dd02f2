package metarpc

import (
	"fmt"
	"math"
	"net"
	"strings"
	"unicode/utf8"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("request refused: "+format+": %w", append(args, fs.ErrInvalid)...)
}

func checkIno(ino uint64) error {
	if ino == 0 {
		return invalid("inode 0")
	}
	return nil
}

func checkName(name []byte) error {
	if len(name) > fs.NameMax {
		return fmt.Errorf("request refused: name of %d bytes: %w", len(name), fs.ErrNameTooLong)
	}
	s := string(name)
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\x00") {
		return invalid("name %q", s)
	}
	return nil
}

func checkLookup(r *metapb.LookupRequest) error {
	if err := checkIno(r.GetDir()); err != nil {
		return err
	}
	return checkName(r.GetName())
}

func checkReaddir(r *metapb.ReaddirRequest) error {
	if r.GetLimit() < 1 || r.GetLimit() > fs.ReaddirMax {
		return invalid("%d entries, want 1 … %d", r.GetLimit(), fs.ReaddirMax)
	}
	return checkIno(r.GetDir())
}

func checkLayout(r *metapb.LayoutRequest) error {
	if r.GetOff() > fs.SizeMax || r.GetLength() > math.MaxUint64-r.GetOff() {
		return invalid("range %d+%d", r.GetOff(), r.GetLength())
	}
	return checkIno(r.GetIno())
}

func checkXattr(r *metapb.XattrRequest) error {
	if n := len(r.GetName()); n > fs.NameMax {
		return fmt.Errorf("request refused: attribute name of %d bytes: %w", n, fs.ErrNameTooLong)
	}
	if len(r.GetName()) == 0 || strings.ContainsRune(string(r.GetName()), 0) {
		return invalid("attribute name %q", r.GetName())
	}
	return checkIno(r.GetIno())
}

func checkTxID(t *metapb.TxID) error {
	if t.GetSession() == 0 || t.GetSeq() == 0 {
		return invalid("transaction id %d.%d", t.GetSession(), t.GetSeq())
	}
	return nil
}

func checkAbort(r *metapb.AbortRequest) error {
	if r.GetEpoch() == 0 {
		return invalid("epoch 0")
	}
	return checkTxID(r.GetTx())
}

func checkMount(m *metapb.Mount) error {
	for _, text := range [][]byte{m.GetHost(), m.GetPath(), m.GetVersion()} {
		if len(text) > mountTextMax {
			return fmt.Errorf("request refused: a mount described by %d bytes: %w", len(text), fs.ErrTooLarge)
		}
	}
	if _, err := fs.ParseSubtree(string(m.GetSubtree())); err != nil {
		return fmt.Errorf("request refused: subtree: %w", err)
	}
	if m.GetPid() < 0 || m.GetPid() > math.MaxInt32 {
		return invalid("process id %d", m.GetPid())
	}
	return nil
}

func checkSession(s *metapb.Session) error {
	if s.GetId() == 0 || s.GetEpoch() == 0 {
		return invalid("session %d of epoch %d", s.GetId(), s.GetEpoch())
	}
	return checkWord("cluster", s.GetCluster())
}

func checkPins(pins []uint64) error {
	if len(pins) > pinsMax {
		return fmt.Errorf("request refused: %d pins, at most %d: %w", len(pins), pinsMax, fs.ErrTooLarge)
	}
	for _, ino := range pins {
		if err := checkIno(ino); err != nil {
			return err
		}
	}
	return nil
}

func checkBeat(b *metapb.Beat) error {
	if err := checkPins(b.GetPins()); err != nil {
		return err
	}
	if err := checkPins(b.GetUnpins()); err != nil {
		return err
	}
	if err := checkLockClaim(b.GetLocks()); err != nil {
		return err
	}
	return checkLeases(b.GetAcks(), fs.LeasesMax)
}

func checkPin(r *metapb.PinRequest) error {
	if err := checkSession(r.GetSession()); err != nil {
		return err
	}
	return checkIno(r.GetIno())
}

func checkAllocInos(r *metapb.AllocInosRequest) error {
	if r.GetN() < 1 || r.GetN() > fs.InoRangeMax {
		return invalid("%d inode numbers, want 1 … %d", r.GetN(), fs.InoRangeMax)
	}
	return checkSession(r.GetSession())
}

func checkHello(h *metapb.Hello) error {
	if err := checkSession(h.GetSession()); err != nil {
		return err
	}
	if err := checkPins(h.GetPins()); err != nil {
		return err
	}
	return checkHeld(h)
}

func checkRemoval(r *metapb.RemovalRequest) error { return checkNodeID(r.GetNode()) }

func checkRemoveNode(r *metapb.RemoveNodeRequest) error { return checkNodeID(r.GetNode()) }

func checkNodeID(id string) error {
	if id == "" {
		return invalid("a node without an id")
	}
	return checkWord("node", id)
}

func checkJoin(r *metapb.JoinRequest) error {
	n := r.GetNode()
	if n.GetId() == "" {
		return invalid("a node without an id")
	}
	for what, word := range map[string]string{"node": n.GetId(), "zone": n.GetZone(), "cluster": r.GetCluster()} {
		if err := checkWord(what, word); err != nil {
			return err
		}
	}
	if len(n.GetAddr()) > addrMax {
		return invalid("an address of %d bytes", len(n.GetAddr()))
	}
	if host, port, err := net.SplitHostPort(n.GetAddr()); err != nil || host == "" || port == "" {
		return invalid("address %q is not host:port", n.GetAddr())
	}
	if n.GetState() > uint32(fs.NodeLeft) {
		return invalid("node state %d", n.GetState())
	}
	return nil
}

// checkWord checks a name that operators will read in logs and tables.
func checkWord(what, s string) error {
	if len(s) > idMax {
		return invalid("%s: a name of %d bytes, at most %d", what, len(s), idMax)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return invalid("%s: name %q", what, s)
	}
	return nil
}

func checkTransactions(r *metapb.TransactionsRequest) error {
	if r.GetLimit() < 1 || r.GetLimit() > transactionsMax {
		return invalid("%d transactions, want 1 … %d", r.GetLimit(), transactionsMax)
	}
	return nil
}

func checkExplain(r *metapb.ExplainRequest) error {
	p := string(r.GetPath())
	if len(p) > fs.PathMax {
		return fmt.Errorf("request refused: a path of %d bytes: %w", len(p), fs.ErrNameTooLong)
	}
	if p == "" || strings.ContainsRune(p, 0) {
		return invalid("path %q", p)
	}
	return nil
}

func checkWatch(r *metapb.WatchRequest) error {
	if r.GetIno() != 0 {
		return nil
	}
	return checkExplain(&metapb.ExplainRequest{Path: r.GetPath()})
}
