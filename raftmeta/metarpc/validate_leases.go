package metarpc

import (
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// checkWish: a call may wish for leases under a session only.
func checkWish(w *metapb.Wish) error {
	if w.GetWant() > uint32(fs.LeaseExclusive) {
		return invalid("a lease of mode %d", w.GetWant())
	}
	if w.GetSession() == 0 && (w.GetWant() > 0 || w.GetEpoch() > 0) || w.GetSession() > 0 && w.GetEpoch() == 0 {
		return invalid("a wish of session %d in epoch %d", w.GetSession(), w.GetEpoch())
	}
	if w.GetPage() && w.GetWant() != uint32(fs.LeaseShared) {
		return invalid("a page under a lease of mode %d", w.GetWant())
	}
	return nil
}

// checkLeases refuses arrays of different lengths, and more than limit leases.
func checkLeases(l *metapb.Leases, limit int) error {
	n := len(l.GetInos())
	if n > limit {
		return fmt.Errorf("request refused: %d leases, at most %d: %w", n, limit, fs.ErrTooLarge)
	}
	if len(l.GetModes()) != n || len(l.GetSeqs()) != n && len(l.GetSeqs()) != 0 {
		return invalid("%d leases with %d modes and %d numbers", n, len(l.GetModes()), len(l.GetSeqs()))
	}
	for k, ino := range l.GetInos() {
		if err := checkIno(ino); err != nil {
			return err
		}
		if mode := l.GetModes()[k]; mode > byte(fs.LeaseExclusive) {
			return invalid("a lease of mode %d", mode)
		}
	}
	return nil
}

// checkHeld bounds what a Hello tells, all of it together: a lease takes up at most as much as two pins.
func checkHeld(h *metapb.Hello) error {
	if n := len(h.GetPins()) + 2*len(h.GetLeases().GetInos()); n > pinsMax {
		return fmt.Errorf("request refused: %d pins and %d leases: %w", len(h.GetPins()), len(h.GetLeases().GetInos()), fs.ErrTooLarge)
	}
	return checkLeases(h.GetLeases(), fs.LeasesMax)
}
