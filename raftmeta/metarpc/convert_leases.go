package metarpc

import (
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

func toLeases(term uint64, list []fs.Lease) *metapb.Leases {
	if term == 0 && len(list) == 0 {
		return nil
	}
	l := &metapb.Leases{Term: term}
	for _, one := range list {
		add(l, one.Ino, one.Mode, one.Seq)
	}
	return l
}

func fromLeases(l *metapb.Leases) (list []fs.Lease) {
	each3(l, func(ino fs.Ino, mode fs.LeaseMode, seq uint64) {
		list = append(list, fs.Lease{Ino: ino, Mode: mode, Seq: seq})
	})
	return list
}

// toHeld leaves out what the leases' numbers were under another leader.
func toHeld(list []fs.Lease) *metapb.Leases {
	l := toLeases(0, list)
	if l != nil {
		l.Seqs = nil
	}
	return l
}

func toAcks(list []fs.LeaseAck) *metapb.Leases {
	if len(list) == 0 {
		return nil
	}
	l := &metapb.Leases{}
	for _, a := range list {
		add(l, a.Ino, a.Mode, a.Seq)
	}
	return l
}

func fromAcks(l *metapb.Leases) (list []fs.LeaseAck) {
	each3(l, func(ino fs.Ino, mode fs.LeaseMode, seq uint64) {
		list = append(list, fs.LeaseAck{Ino: ino, Seq: seq, Mode: mode})
	})
	return list
}

func toRecalls(list []fs.Recall) *metapb.Leases {
	if len(list) == 0 {
		return nil
	}
	l := &metapb.Leases{}
	for _, r := range list {
		add(l, r.Ino, r.To, r.Seq)
	}
	return l
}

func fromRecalls(l *metapb.Leases) (list []fs.Recall) {
	each3(l, func(ino fs.Ino, mode fs.LeaseMode, seq uint64) {
		list = append(list, fs.Recall{Ino: ino, Seq: seq, To: mode})
	})
	return list
}

func add(l *metapb.Leases, ino fs.Ino, mode fs.LeaseMode, seq uint64) {
	l.Inos = append(l.Inos, uint64(ino))
	l.Modes = append(l.Modes, byte(mode))
	l.Seqs = append(l.Seqs, seq)
}

// each3 goes through a list; one that is malformed is taken for empty.
func each3(l *metapb.Leases, fn func(fs.Ino, fs.LeaseMode, uint64)) {
	if checkLeases(l, len(l.GetInos())) != nil {
		return
	}
	for n, ino := range l.GetInos() {
		seq := uint64(0)
		if len(l.GetSeqs()) > 0 {
			seq = l.GetSeqs()[n]
		}
		fn(fs.Ino(ino), fs.LeaseMode(l.GetModes()[n]), seq)
	}
}
