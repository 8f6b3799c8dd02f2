package vfs

import (
	"cmp"
	"context"
	"slices"

	"go.opentelemetry.io/otel/trace"

	"dfs/fs"
	"dfs/fs/spans"
)

// Bounds of one job besides its bytes.
const (
	jobOpsMax    = fs.TxOpsMax - fs.BlobMax/spanMin // each segment may need an operation, and large ones one for each spanMin
	jobPartsMax  = 1024
	flightsByAge = 4 // jobs of one inode in flight before it is flushed by age no more
)

// take picks what leaves an inode's dirty segments; max is the size of a full one.
type take func(l *segments, max int) segments

// launch packs what take picks from each inode into jobs and starts them. Small files share jobs, and so blobs. Frozen
// inodes are left alone. It returns all that flies of these inodes, also what did before.
func (f *FS) launch(inodes []*inode, pick take) []*flight {
	return f.launchFor(context.Background(), inodes, pick)
}

// launchFor is launch for a request that waits for it: what is flushed becomes a part of its trace.
func (f *FS) launchFor(ctx context.Context, inodes []*inode, pick take) []*flight {
	if len(inodes) > 1 { // files made together lie together
		slices.SortFunc(inodes, func(a, b *inode) int { return cmp.Compare(a.ino, b.ino) })
	}
	p := packer{f: f, parent: spans.Parent(ctx)}
	p.launch(inodes, pick)
	return p.flying
}

// launchWith launches all of n that waits with s behind it, and returns the flight that carries s. nil: nothing is
// unflushed, so there is nothing for s to follow.
func (f *FS) launchWith(n *inode, s fs.Setattr) *flight {
	p := packer{f: f, set: &s}
	p.launch([]*inode{n}, (*segments).takeAll)
	if p.set != nil {
		return nil
	}
	return p.flying[len(p.flying)-1]
}

// packer fills jobs; packMu is held.
type packer struct {
	f      *FS
	set    *fs.Setattr // to go behind what is picked of the one inode; nil once it does
	parent trace.SpanContext
	jobs   []*job
	flying []*flight
}

func (p *packer) launch(inodes []*inode, pick take) {
	p.f.packMu.Lock()
	defer p.f.packMu.Unlock()
	for _, n := range inodes {
		p.pack(n, pick)
	}
	for _, j := range p.jobs {
		if !p.f.spawn(func() { p.f.fly(j) }) {
			j.finishAll(p.f, errClosing)
		}
	}
}

// pack loads what pick takes of n. What is pending stays behind all data written before it, so it goes with the last.
func (p *packer) pack(n *inode, pick take) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { p.flying = append(p.flying, n.flights...) }()
	if n.frozen || n.gone {
		return
	}
	if p.set != nil && n.unflushed() {
		n.pending, p.set = merged(n.pending, *p.set), nil
	}
	size := n.size()
	for _, s := range pick(&n.dirty, p.f.cfg.BlobSize) {
		p.job(int64(len(s.data))).add(n, s, size)
	}
	n.kill = n.kill && len(n.dirty) > 0 // a flight and what stays dirty may both hold what was written so
	if n.pending != nil && len(n.dirty) == 0 {
		p.job(0).addSet(n, size)
	}
}

// job is the job that so many bytes fit into.
func (p *packer) job(bytes int64) *job {
	if k := len(p.jobs); k > 0 && p.jobs[k-1].fits(bytes, p.f.cfg.BlobSize) {
		return p.jobs[k-1]
	}
	j := newJob(p.f.sessions.get())
	j.parent = p.parent
	p.jobs = append(p.jobs, j)
	return j
}

func (j *job) fits(bytes int64, max int) bool {
	return j.bytes+bytes <= int64(max) && j.ops < jobOpsMax && len(j.parts) < jobPartsMax
}

// add loads a segment of n, a file of that size, whose mu is held.
func (j *job) add(n *inode, s segment, size uint64) {
	fl := j.flight(n, size)
	fl.segs = append(fl.segs, s)
	j.bytes += int64(len(s.data))
	j.ops++
}

// addSet loads what is pending of n, whose mu is held.
func (j *job) addSet(n *inode, size uint64) {
	j.flight(n, size).set = n.pending
	n.pending = nil
	j.ops++
}

// flight is what j carries of n: that is the part loaded last, or a new one.
func (j *job) flight(n *inode, size uint64) *flight {
	if k := len(j.parts) - 1; k >= 0 && j.parts[k].n == n {
		return j.parts[k].flight
	}
	if last := len(n.flights) - 1; last >= 0 {
		j.after = append(j.after, n.flights[last].job)
	}
	fl := &flight{n: n, job: j, mtime: n.mtime, kill: n.kill, through: n.through}
	j.parts = append(j.parts, &part{n: n, flight: fl, size: size})
	n.flights = append(n.flights, fl)
	return fl
}
