package vfs

import (
	"cmp"
	"slices"

	"dfs/fs"
)

// Bounds of one job besides its bytes.
const (
	jobSegmentsMax = fs.TxOpsMax - fs.BlobMax/spanMin // each may need an operation, and large ones one for each spanMin
	jobPartsMax    = 1024
	flightsByAge   = 4 // jobs of one inode in flight before it is flushed by age no more
)

// take picks what leaves an inode's dirty segments; max is the size of a full one.
type take func(l *segments, max int) segments

// launch packs what take picks from each inode into jobs and starts them. Small files share jobs, and so blobs. Frozen
// inodes are left alone. It returns all that flies of these inodes, also what did before.
func (f *FS) launch(inodes []*inode, pick take) []*flight {
	if len(inodes) > 1 { // files made together lie together
		slices.SortFunc(inodes, func(a, b *inode) int { return cmp.Compare(a.ino, b.ino) })
	}
	f.packMu.Lock()
	defer f.packMu.Unlock()
	p := packer{f: f}
	for _, n := range inodes {
		p.pack(n, pick)
	}
	for _, j := range p.jobs {
		if !f.spawn(func() { f.fly(j) }) {
			j.finishAll(f, errClosing)
		}
	}
	return p.flying
}

// packer fills jobs; packMu is held.
type packer struct {
	f      *FS
	jobs   []*job
	flying []*flight
}

func (p *packer) pack(n *inode, pick take) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { p.flying = append(p.flying, n.flights...) }()
	if n.frozen || n.gone {
		return
	}
	size := n.size()
	for _, s := range pick(&n.dirty, p.f.cfg.BlobSize) {
		p.job(s).add(n, s, size)
	}
}

// job is the job that s fits into.
func (p *packer) job(s segment) *job {
	if k := len(p.jobs); k > 0 && p.jobs[k-1].fits(s, p.f.cfg.BlobSize) {
		return p.jobs[k-1]
	}
	j := newJob(p.f.sessions.get())
	p.jobs = append(p.jobs, j)
	return j
}

func (j *job) fits(s segment, max int) bool {
	return j.bytes+int64(len(s.data)) <= int64(max) && j.segments < jobSegmentsMax && len(j.parts) < jobPartsMax
}

// add loads a segment of n, a file of that size, whose mu is held.
func (j *job) add(n *inode, s segment, size uint64) {
	k := len(j.parts) - 1
	if k < 0 || j.parts[k].n != n {
		if last := len(n.flights) - 1; last >= 0 {
			j.after = append(j.after, n.flights[last].job)
		}
		j.parts = append(j.parts, &part{n: n, flight: &flight{n: n, job: j}, mtime: n.mtime, size: size})
		k++
		n.flights = append(n.flights, j.parts[k].flight)
	}
	p := j.parts[k]
	p.flight.segs = append(p.flight.segs, s)
	j.bytes += int64(len(s.data))
	j.segments++
}
