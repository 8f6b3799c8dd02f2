package metarpc

import (
	"errors"
	"testing"

	"dfs/cluster/rpcerr"
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

func TestServer_RefusesMalformedLocks(t *testing.T) {
	n := newNetwork(t)
	n.serve("a", untouchable(t))
	conn, err := n.dial("a")
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*metapb.LockRequest){
		"no session":           func(r *metapb.LockRequest) { r.Session = nil },
		"no number":            func(r *metapb.LockRequest) { r.Seq = 0 },
		"no action":            func(r *metapb.LockRequest) { r.Action = 0 },
		"an unknown action":    func(r *metapb.LockRequest) { r.Action = uint32(fs.LockTest) + 1 },
		"an action modulo 256": func(r *metapb.LockRequest) { r.Action = 256 + uint32(fs.LockTry) },
		"a wait, no ticket":    func(r *metapb.LockRequest) { r.Action = uint32(fs.LockWait) },
		"a cancel, no ticket":  func(r *metapb.LockRequest) { r.Action = uint32(fs.LockCancel) },
		"too many open calls":  func(r *metapb.LockRequest) { r.Open = make([]uint64, fs.LockOpenMax+1) },
		"no lock":              func(r *metapb.LockRequest) { r.Lock = nil },
		"no inode":             func(r *metapb.LockRequest) { r.Lock.Ino = 0 },
		"an unknown kind":      func(r *metapb.LockRequest) { r.Lock.Kind = 3 },
		"no type":              func(r *metapb.LockRequest) { r.Lock.Type = 0 },
		"an end before all":    func(r *metapb.LockRequest) { r.Lock.Start = 2 },
		"an end behind all":    func(r *metapb.LockRequest) { r.Lock.End = fs.LockEnd + 1 },
		"a flock of a part":    func(r *metapb.LockRequest) { r.Lock.Kind = uint32(fs.LockFlock) },
	} {
		r := &metapb.LockRequest{Session: &metapb.Session{Id: 1, Epoch: 1}, Seq: 1, Action: uint32(fs.LockTry),
			Lock: &metapb.Lock{Ino: 1, Kind: uint32(fs.LockRange), Type: uint32(fs.LockRead), End: 1}}
		if err := checkLockRequest(r); err != nil {
			t.Fatal(err)
		}
		spoil(r)
		_, err := metapb.NewMetaClient(conn).Lock(t.Context(), r)
		if err := rpcerr.FromStatus(err); !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
