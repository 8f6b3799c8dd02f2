package replica

import (
	"slices"
	"sync"
	"time"
)

// samplesMax is how many of the last durations a latency remembers.
const samplesMax = 64

// smallMax is up to how many bytes a request is small: its duration is the disk's and the network's delay, and not the
// bytes'.
const smallMax = 64 << 10

// latencies are those of one kind of request, small and large ones apart: the p95 of both together would be that of the
// large ones, and no hedge for a small one.
type latencies struct {
	kind         Request
	small, large latency
}

// of are the latencies of requests of about so many bytes.
func (l *latencies) of(bytes int) timing {
	if bytes <= smallMax {
		return timing{l.kind, &l.small}
	}
	return timing{l.kind, &l.large}
}

// timing is where a request's duration belongs.
type timing struct {
	kind Request
	*latency
}

// latency estimates the p95 of one kind of request from its last answers.
type latency struct {
	mu      sync.Mutex
	samples []time.Duration // a ring of at most samplesMax
	next    int
}

func (l *latency) observe(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.samples) < samplesMax {
		l.samples = append(l.samples, d)
		return
	}
	l.samples[l.next] = d
	l.next = (l.next + 1) % samplesMax
}

// p95 is unknown until there are a few samples.
func (l *latency) p95(unknown time.Duration) time.Duration {
	l.mu.Lock()
	s := slices.Clone(l.samples)
	l.mu.Unlock()
	if len(s) < 8 {
		return unknown
	}
	slices.Sort(s)
	return s[(len(s)*95+99)/100-1]
}

func clamp(d, low, high time.Duration) time.Duration { return min(max(d, low), high) }
