package vfs

import (
	"dfs/blob"
	"dfs/fs"
)

const (
	// inlinePiece is the size up to which a piece of a large file is inlined too: a blob of its own would cost more.
	inlinePiece = 512
	// spanMin is a run that no more than fs.ExtentsMax extents can lie under, whatever their size; spanStep is how much
	// finer an operation gets each time that it was too coarse.
	spanMin  = 4096
	spanStep = 8
	// extentsPerOp bounds the segments that one Write operation maps.
	extentsPerOp = 1024
)

// load is what one attempt of a job sends: all that is left of it or, once that has proved too much for one transaction, its
// front.
type load struct {
	cargo   []*cargo
	ops     []fs.Op
	owner   []*part    // of each operation
	blob    *blob.Blob // nil if everything is inline
	writes  int        // operations that map something
	longest uint64     // bytes of the file that one of them spans
}

// cargo is what a load carries of one part.
type cargo struct {
	*part
	runs  []segments // each for one Write operation
	whole bool       // nothing of the part is left behind
}

// front is what the next load carries.
func (j *job) front() []*cargo {
	span, left := j.span, j.limit
	if span == 0 {
		span = fs.SizeMax
	}
	if left == 0 {
		left = fs.TxOpsMax
	}
	var list []*cargo
	for _, p := range j.parts {
		if left == 0 {
			break
		}
		runs := p.flight.segs.from(p.decided).runs(span)
		k := min(len(runs), left)
		list = append(list, &cargo{part: p, runs: runs[:k], whole: k == len(runs)})
		left -= k
	}
	return list
}

// build packs the front of j: one blob with a new id, and the operations that map it.
func (f *FS) build(j *job) *load {
	l := &load{cargo: j.front()}
	b := builder{inlineLeft: inlineBound, inlineMax: f.cfg.InlineMax, inlined: make(map[*cargo]bool)}
	for _, c := range l.cargo {
		b.count(c)
	}
	id := j.r.nextBlob()
	for _, c := range l.cargo {
		for _, run := range c.runs {
			l.add(c.part, &fs.Write{Ino: c.n.ino, Extents: b.extents(run, id, b.inlined[c]), Time: c.flight.mtime,
				KillPriv: c.flight.kill})
			l.writes++
			l.longest = max(l.longest, run.end()-run[0].off)
		}
		if c.whole && c.flight.set != nil {
			set := *c.flight.set // the views read that one while this one is encoded, which writes to it
			l.add(c.part, &set)
		}
	}
	if len(b.data) > 0 {
		l.blob = blob.New(id, b.data)
		if j.limit == 0 {
			b.share(l.cargo)
		}
	}
	return l
}

func (l *load) add(p *part, op fs.Op) {
	l.ops = append(l.ops, op)
	l.owner = append(l.owner, p)
}

// share has the segments lie in the blob, so that their bytes are in memory once. The blob holds all of them.
func (b *builder) share(all []*cargo) {
	at := 0
	for _, c := range all {
		if b.inlined[c] {
			continue
		}
		c.n.mu.Lock() // readers look at them meanwhile
		for i := range c.flight.segs {
			s := &c.flight.segs[i]
			s.data = b.data[at : at+len(s.data)]
			at += len(s.data)
		}
		c.n.mu.Unlock()
	}
}

// builder decides what is inlined and lays the rest out in a blob.
type builder struct {
	inlineMax  int
	inlineLeft int64
	packed     int64 // bytes that will lie in the blob
	inlined    map[*cargo]bool
	data       []byte
}

// count decides whether what is carried of a part is inlined.
func (b *builder) count(c *cargo) {
	bytes := int64(0)
	for _, run := range c.runs {
		bytes += run.bytes()
	}
	small := c.size <= uint64(max(b.inlineMax, 0)) || bytes <= min(inlinePiece, int64(b.inlineMax))
	if small && bytes <= b.inlineLeft {
		b.inlineLeft -= bytes
		b.inlined[c] = true
		return
	}
	b.packed += bytes
}

// extents lays out a run. Segments that continue each other share an extent.
func (b *builder) extents(run segments, id fs.BlobID, inline bool) []fs.Extent {
	var list []fs.Extent
	for _, s := range run {
		e := fs.Extent{Off: s.off, Len: uint64(len(s.data))}
		if inline {
			e.Data = s.data
		} else {
			e.Blob, e.BlobOff = id, uint64(len(b.data))
			b.append(s.data)
		}
		if k := len(list) - 1; k >= 0 && list[k].End() == e.Off {
			list[k].Len += e.Len
			if e.Inline() {
				list[k].Data = append(list[k].Data[:len(list[k].Data):len(list[k].Data)], e.Data...)
			}
			continue
		}
		list = append(list, e)
	}
	return list
}

// append lays out bytes. A blob of one segment is that segment, without a copy: it cannot change any more.
func (b *builder) append(data []byte) {
	if b.data == nil && int64(len(data)) == b.packed {
		b.data = data
		return
	}
	if b.data == nil {
		b.data = make([]byte, 0, b.packed)
	}
	b.data = append(b.data, data...)
}

// strayed notes that what is carried goes to the leader without waiting for others' caches.
func (l *load) strayed() {
	for _, c := range l.cargo {
		c.n.mu.Lock()
		c.n.strayed = true
		c.n.mu.Unlock()
	}
}
