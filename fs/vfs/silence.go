package vfs

import "time"

// heard notes that the leader has just answered a beat.
func (f *FS) heard() {
	now := time.Now()
	f.lastHeard.Store(&now)
}

// Silence is how long ago the leader last answered; gone reports that this is so long that the mount takes the cluster for
// unreachable: half the session's time-out, after which the line is given up, or that there is no session at all.
func (f *FS) Silence() (since time.Duration, gone bool) {
	if last := f.lastHeard.Load(); last != nil {
		since = time.Since(*last)
	}
	r := f.sessions.get()
	return since, r == nil || since > r.timeout()/2
}
