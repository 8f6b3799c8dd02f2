package lease

import (
	"fmt"
	"strings"
	"testing"

	"dfs/fs"
)

// beginMap is a load from a mapping: from the page, or by a READ for it, of which the kernel holds it locked.
func (w *world) beginMap(m *mount) {
	if m.page != nil {
		w.returned(m, m.page.value)
		return
	}
	m.fill = &fill{lease: -1, behind: m.pass}
	w.ask(m)
}

// ask reads under the lease that is held, or else asks for one.
func (w *world) ask(m *mount) {
	m.fill.lease, m.fill.have = m.held(), false
	if _, leaving := m.holder.Leaving(1); m.fill.lease < 0 || leaving || w.clock(m) >= m.holder.Until() {
		c := w.send(m, "page", 0)
		c.id = fmt.Sprintf("%d page", m.id) // it may have to ask again and again; all are the same
		m.txs--
		m.call = c
	}
}

// held is which lease it is; -1: none.
func (m *mount) held() int {
	if m.holder.Held(1).Mode == None {
		return -1
	}
	return m.leases
}

// filled takes an answer. What has come of a lease that was not there before covers it, or the one that was there all the time.
func (w *world) filled(m *mount, c *rpc, kept, old bool) {
	f := m.fill
	if now := m.held(); !kept && (now < 0 || now != f.lease) {
		f.lease = -1
	} else {
		f.lease = now
	}
	if old && !m.dirty {
		w.ask(m)
		return
	}
	f.have, f.value = true, c.value
	if m.dirty {
		f.value = m.cached
	}
}

func (w *world) fillChoices(m *mount, add func(func(), string, ...any)) {
	f := m.fill
	switch {
	case m.call != nil:
	case f.sure:
		add(func() { w.deliver(m) }, "%d has its page", m.id)
	case !f.have:
		add(func() { f.have, f.value = true, m.cached }, "%d reads for its page", m.id)
	case f.lease < 0 && w.rules.fillAnyway:
		add(func() { f.sure = true }, "%d takes its page without a lease", m.id)
	case f.lease < 0 || f.lease != m.held():
		add(func() { w.ask(m) }, "%d asks for its page again", m.id)
	case m.pass && f.behind:
		add(func() { f.sure, m.again = true, !w.rules.leavePages }, "%d answers behind the pass", m.id)
	default:
		add(func() { f.sure = true }, "%d answers", m.id)
	}
}

func (w *world) deliver(m *mount) {
	m.page = &page{m.fill.value, m.pass && m.fill.behind}
	w.returned(m, m.fill.value)
	m.fill = nil
}

// passChoices drop the page before a lease is given back whole.
func (w *world) passChoices(m *mount, add func(func(), string, ...any)) {
	to, _ := m.holder.Leaving(1)
	switch {
	case to > None:
		add(func() { w.giveBack(m) }, "%d gives back", m.id)
	case !m.pass:
		add(func() { w.beginPass(m) }, "%d begins to drop", m.id)
	default:
		if m.page != nil && !m.page.behind {
			add(func() { m.page = nil }, "%d's page goes", m.id)
		}
		if m.fill != nil && !m.fill.behind && !w.rules.dropOnce {
			return // the kernel waits for the page
		}
		add(func() { w.endPass(m) }, "%d has dropped", m.id)
	}
}

func (w *world) beginPass(m *mount) {
	m.pass, m.again = true, false
	if m.fill != nil {
		m.fill.behind = false
	}
	if m.page != nil {
		m.page.behind = false
	}
}

func (w *world) endPass(m *mount) {
	if m.page != nil && !m.page.behind {
		m.page = nil
	}
	if m.again {
		w.beginPass(m)
		return
	}
	w.giveBack(m)
}

// auditPages: what a mapping shows is what the file holds, as long as its mount may believe in its leases. Only its own mount's write may
// be in the file before it has returned; others see it when that mount has given its lease back.
func (w *world) auditPages() string {
	for _, m := range w.mounts {
		if m.call != nil && m.call.kind == "write" {
			continue
		}
		if m.page != nil && !m.gone && m.now == 0 && !w.ended[m.id] && m.page.value != w.ghost {
			return fmt.Sprintf("the mapping of mount %d shows %d, and the file holds %d", m.id, m.page.value, w.ghost)
		}
	}
	return ""
}

// turn is one inode, and three sessions.
type turn struct {
	t *testing.T
	*Table
}

func (w turn) ask(s fs.SessionID, kind Kind, mode Mode, page bool) *Request {
	r := &Request{Session: s, Ino: 5, Kind: kind, Mode: mode, Page: page}
	w.Ask(r)
	return r
}

// acks gives back what a session holds.
func (w turn) acks(s fs.SessionID) { w.Ack(s, Ack{Ino: 5, Seq: w.inodes[5].holders[s].seq}) }

// are says which requests are decided, and what they were granted, in order.
func (w turn) are(want string, list ...*Request) {
	w.t.Helper()
	var got []string
	for _, r := range list {
		switch {
		case !r.Decided():
			got = append(got, "waits")
		case r.Kind == Change:
			got = append(got, "through")
		default:
			got = append(got, r.Grant.Mode.String())
		}
	}
	if s := strings.Join(got, ", "); s != want {
		w.t.Errorf("%s, want %s", s, want)
	}
	if bad := w.check(); bad != "" {
		w.t.Error(bad)
	}
}

func TestPage_GetsALeaseInItsTurn(t *testing.T) {
	w := turn{t, NewTable(nil)}
	b := w.ask(2, Hold, Exclusive, false)
	c := w.ask(3, Change, None, false)
	page, read := w.ask(1, Hold, Shared, true), w.ask(1, Hold, Shared, false)
	late := w.ask(3, Hold, Exclusive, false)
	w.are("exclusive, waits, waits, waits, waits", b, c, page, read, late)
	w.acks(2)
	w.are("through, waits, none, waits", c, page, read, late)
	w.End(c)
	w.are("shared, waits", page, late)
	w.acks(1)
	w.are("exclusive", late)
}

func TestPage_WhoseSessionIsAskedForItsLeaseWaitsForNothing(t *testing.T) {
	w := turn{t, NewTable(nil)}
	w.ask(1, Hold, Shared, false)
	change := w.ask(2, Change, None, false)
	page := w.ask(1, Hold, Shared, true)
	w.are("waits, none", change, page)
	w.acks(1)
	w.are("through", change)
	// Its session may get a lease while it waits, and be asked for it in the same moment.
	w.End(change)
	w.ask(2, Hold, Exclusive, false)
	own, page, other := w.ask(1, Hold, Exclusive, false), w.ask(1, Hold, Shared, true), w.ask(3, Hold, Exclusive, false)
	w.acks(2)
	w.are("exclusive, none, waits", own, page, other)
}
