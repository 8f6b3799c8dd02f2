package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

const (
	progressEvery = 200 * time.Millisecond
	progressWidth = 30
)

// progress shows on a terminal how far a transfer is; elsewhere it shows nothing.
type progress struct {
	w     io.Writer // nil: nothing is shown
	what  string
	total int64 // -1: unknown
	done  int64
	start time.Time
	shown time.Time
}

func newProgress(w io.Writer, what string, total int64) *progress {
	p := &progress{what: what, total: total, start: time.Now()}
	if isTerminal(w) {
		p.w = w
	}
	return p
}

// reader counts what is read from r.
func (p *progress) reader(r io.Reader) io.Reader {
	if p.w == nil {
		return r
	}
	return io.TeeReader(r, p)
}

// Write implements io.Writer for what has been transferred.
func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	if now := time.Now(); now.Sub(p.shown) >= progressEvery {
		p.shown = now
		p.show(now)
	}
	return len(b), nil
}

func (p *progress) show(now time.Time) {
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", p.line(now.Sub(p.start))) // a terminal that is gone is no reason to stop
}

// line is what is shown after so long.
func (p *progress) line(d time.Duration) string {
	rate := humanize.IBytes(uint64(float64(p.done)/max(d.Seconds(), 0.001))) + "/s"
	if p.total <= 0 {
		return fmt.Sprintf("%s  %s  %s", p.what, humanize.IBytes(uint64(p.done)), rate)
	}
	share := min(float64(p.done)/float64(p.total), 1)
	full := int(share * progressWidth)
	bar := strings.Repeat("#", full) + strings.Repeat("-", progressWidth-full)
	return fmt.Sprintf("%s  [%s] %3.0f%%  %s of %s  %s", p.what, bar, 100*share, humanize.IBytes(uint64(p.done)), humanize.IBytes(uint64(p.total)), rate)
}

// end ends the line.
func (p *progress) end() {
	if p.w != nil {
		p.show(time.Now())
		_, _ = fmt.Fprintln(p.w) // as in show
	}
}
