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
	// extentsPerOp bounds the extents of one Write operation.
	extentsPerOp = 1024
)

// load is what one attempt of a job sends.
type load struct {
	ops   []fs.Op
	owner []*part    // of each operation
	blob  *blob.Blob // nil if everything is inline
	span  uint64     // no Write operation maps a longer run
}

// build packs the parts of j: one blob with a new id, and the operations that map it.
func (f *FS) build(j *job) *load {
	b := builder{inlineLeft: inlineBound, inlineMax: f.cfg.InlineMax}
	l := &load{span: j.span}
	if l.span == 0 {
		l.span = fs.SizeMax
	}
	for _, p := range j.parts {
		b.count(p)
	}
	id := j.r.nextBlob()
	for _, p := range j.parts {
		l.mapPart(p, b.extents(p, id))
	}
	if len(b.data) > 0 {
		l.blob = blob.New(id, b.data)
		b.share(j.parts)
	}
	return l
}

// share has the segments lie in the blob, so that their bytes are in memory once.
func (b *builder) share(parts []*part) {
	at := 0
	for _, p := range parts {
		if b.inlined[p] {
			continue
		}
		p.n.mu.Lock() // readers look at them meanwhile
		for i := range p.flight.segs {
			s := &p.flight.segs[i]
			s.data = b.data[at : at+len(s.data)]
			at += len(s.data)
		}
		p.n.mu.Unlock()
	}
}

// builder decides what is inlined and lays the rest out in a blob.
type builder struct {
	inlineMax  int
	inlineLeft int64
	packed     int64 // bytes that will lie in the blob
	inlined    map[*part]bool
	data       []byte
}

// count decides whether a part is inlined.
func (b *builder) count(p *part) {
	bytes := p.flight.segs.bytes()
	small := p.size <= uint64(max(b.inlineMax, 0)) || bytes <= min(inlinePiece, int64(b.inlineMax))
	if small && bytes <= b.inlineLeft {
		b.inlineLeft -= bytes
		if b.inlined == nil {
			b.inlined = make(map[*part]bool)
		}
		b.inlined[p] = true
		return
	}
	b.packed += bytes
}

// extents lays out one part. Segments that continue each other share an extent.
func (b *builder) extents(p *part, id fs.BlobID) []fs.Extent {
	var list []fs.Extent
	for _, s := range p.flight.segs {
		e := fs.Extent{Off: s.off, Len: uint64(len(s.data))}
		if b.inlined[p] {
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

// mapPart adds the operations that map a part, none longer than span, and what is to be done behind them.
func (l *load) mapPart(p *part, extents []fs.Extent) {
	op := &fs.Write{Ino: p.n.ino, Time: p.flight.mtime}
	add := func() {
		if len(op.Extents) > 0 {
			l.add(p, op)
			op = &fs.Write{Ino: p.n.ino, Time: p.flight.mtime}
		}
	}
	for _, e := range extents {
		for off := e.Off; off < e.End(); {
			if k := len(op.Extents); k == extentsPerOp || k > 0 && off-op.Extents[0].Off >= l.span {
				add()
			}
			from := off
			if len(op.Extents) > 0 {
				from = op.Extents[0].Off
			}
			piece := e.Slice(off, from+l.span)
			op.Extents = append(op.Extents, piece)
			off = piece.End()
		}
	}
	add()
	if p.flight.set != nil {
		l.add(p, p.flight.set)
	}
}

func (l *load) add(p *part, op fs.Op) {
	l.ops = append(l.ops, op)
	l.owner = append(l.owner, p)
}
