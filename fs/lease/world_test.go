package lease

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dfs/fs"
)

// world is a model of everything around the two halves: two mounts, one leader after the other, the messages between them,
// and one inode whose content is a number. Table and Holder in it are the real ones. Every step is one choice of the explorer.
//
// The ghost is what a single machine's file would hold: it changes in the moment in which a write takes effect. A read must return
// a value that the ghost had between its call and its return.
type world struct {
	rules   rules
	value   int // committed
	version int // of value
	ended   map[fs.SessionID]bool
	done    map[string]bool // transactions that were decided
	ghost   int
	table   *Table
	reign   int
	mounts  []*mount
	rpcs    []*rpc
	up      map[fs.SessionID][]message // a session's stream to this leader
	down    map[fs.SessionID][]Recall
	crash   int // how many leaders may still die
	lapse   int // how many sessions may still end
	spare   int // how often a mount may still give back what nobody has recalled
	broken  string
}

// rules can be broken on purpose, to see the explorer notice.
type rules struct {
	keepOvertaken bool // a mount takes grants that a recall has overtaken
	ackUnflushed  bool // a recall is answered before what is dirty is flushed
	grantEarly    bool // a fresh leader does not wait for what the sessions hold
	useAfterTime  bool // a mount believes in its leases for longer than its session
	changeOpenly  bool // a change waits for nobody
	leavePages    bool // a page that came behind a pass needs no other one
	fillAnyway    bool // a page is taken that no lease covers
	dropOnce      bool // a pass does not wait for pages that are on their way
}

type message struct {
	hello []Grant // the first on a stream
	ack   Ack
}

// rpc is a call of a mount under way.
type rpc struct {
	mount   *mount
	kind    string // read, page, own (an exclusive lease), write, flush
	id      string
	value   int
	version int
	mark    Mark
	reign   int // of the leader that has it; 0: it has not arrived
	asked   *Request
	back    bool // the answer is on its way
	err     bool
}

type mount struct {
	id     fs.SessionID
	holder *Holder
	now    time.Duration
	reign  int // attached to
	cached int // valid under a lease
	known  int // the highest version that any answer has borne
	dirty  bool
	script []string
	next   int
	gone   bool

	call  *rpc // the script's operation, waiting for the leader
	flush *rpc
	use   *Use // the script's operation, at work under a lease
	seen  map[int]bool
	txs   int

	leases int   // how many have been given back whole: which one is held
	page   *page // in the mount's kernel
	fill   *fill // the script's operation
	pass   bool  // the kernel is dropping the page
	again  bool  // it may have come behind that
}

// page is what a mapping shows without asking anybody.
type page struct {
	value  int
	behind bool // the pass under way may have been there before it
}

// fill is a READ for the page, which the kernel has locked.
type fill struct {
	lease  int  // under which it reads, or was answered; -1: none
	behind bool // it came during the pass under way
	have   bool // value is what it brings
	sure   bool // it is answered; the answer is on its way to the kernel
	value  int
}

func newWorld(r rules, crashes, lapses int, scripts ...[]string) *world {
	w := &world{rules: r, ended: map[fs.SessionID]bool{}, done: map[string]bool{}, crash: crashes, lapse: lapses, table: NewTable(nil), reign: 1,
		up: map[fs.SessionID][]message{}, down: map[fs.SessionID][]Recall{}}
	for i, s := range scripts {
		m := &mount{id: fs.SessionID(i + 1), holder: NewHolder(), script: s, reign: 1}
		m.holder.Renew(0, 10)
		m.holder.Attached(1)
		w.mounts = append(w.mounts, m)
	}
	return w
}

type choice struct {
	name string
	do   func()
}

// choices are all steps that are possible now, in a fixed order.
func (w *world) choices() (list []choice) {
	add := func(do func(), format string, args ...any) {
		list = append(list, choice{fmt.Sprintf(format, args...), do})
	}
	for _, m := range w.mounts {
		w.mountChoices(m, add)
	}
	for _, c := range w.rpcs {
		switch {
		case c.back:
			add(func() { w.answer(c) }, "answer %s", c.id)
		case c.reign != w.reign:
			add(func() { w.arrive(c) }, "arrive %s", c.id)
		case c.asked.Decided():
			add(func() { w.execute(c) }, "execute %s", c.id)
		}
	}
	for _, s := range slices.Sorted(maps.Keys(w.up)) {
		if len(w.up[s]) > 0 {
			add(func() { w.receive(s) }, "leader hears %d", s)
		}
	}
	if w.crash > 0 {
		add(w.die, "leader dies")
	}
	return list
}

func (w *world) mountChoices(m *mount, add func(func(), string, ...any)) {
	if m.gone {
		return
	}
	if len(w.down[m.id]) > 0 && m.reign == w.reign {
		add(func() { w.recalled(m) }, "%d hears a recall", m.id)
	}
	if m.reign != w.reign {
		add(func() { w.attach(m) }, "%d attaches", m.id)
	}
	if _, leaving := m.holder.Leaving(1); w.spare > 0 && !leaving && m.holder.Held(1).Mode > None {
		add(func() { w.spare--; m.holder.Unwanted(1, None) }, "%d has no more use for its lease", m.id)
	}
	if m.holder.Closable(1) && (!m.dirty || w.rules.ackUnflushed) {
		add(func() { m.holder.Close(1) }, "%d closes", m.id)
	}
	if m.reign == w.reign && m.holder.Idle(1) {
		w.passChoices(m, add)
	}
	if m.dirty && m.flush == nil {
		add(func() { w.startFlush(m) }, "%d flushes", m.id)
	}
	switch {
	case m.fill != nil:
		w.fillChoices(m, add)
	case m.use != nil:
		add(func() { w.finish(m) }, "%d finishes", m.id)
	case m.call == nil && m.next < len(m.script):
		add(func() { w.begin(m) }, "%d begins %s", m.id, m.script[m.next])
	}
	if w.lapse > 0 && m.now == 0 {
		add(func() { m.now = 10; w.lapse-- }, "%d's time is over", m.id)
	}
	if m.now > 0 && !w.ended[m.id] {
		add(func() { w.expire(m) }, "leader ends %d", m.id)
		add(func() { m.now = 0 }, "%d is answered after all", m.id)
	}
}

func (w *world) clock(m *mount) time.Duration {
	if w.rules.useAfterTime {
		return 0
	}
	return m.now
}

func (w *world) setGhost(v int) {
	w.ghost = v
	for _, m := range w.mounts {
		if m.seen != nil {
			m.seen[v] = true
		}
	}
}

// begin starts the next operation of the script: under a lease, or with a call.
func (w *world) begin(m *mount) {
	m.seen = map[int]bool{w.ghost: true}
	if m.script[m.next] == "map" {
		w.beginMap(m)
		return
	}
	want, kind := Shared, "read"
	if m.script[m.next] != "read" {
		want, kind = Exclusive, "own"
	}
	if u, ok := m.holder.Begin(1, want, w.clock(m)); ok {
		m.use = &u
		return
	}
	m.call = w.send(m, kind, 0)
}

// finish does the work that was begun under a lease.
func (w *world) finish(m *mount) {
	if m.script[m.next] == "read" {
		w.returned(m, m.cached)
	} else {
		w.writeLocal(m)
	}
	if m.use != nil {
		m.use.Done()
		m.use = nil
	}
}

func (w *world) writeLocal(m *mount) {
	m.cached, m.dirty, m.page = int(m.id)*100+m.next, true, nil // its own kernel drops the page
	w.setGhost(m.cached)
	w.returned(m, -1)
}

func (w *world) returned(m *mount, v int) {
	if v >= 0 && !m.seen[v] {
		w.broken = fmt.Sprintf("mount %d read %d; between call and return the file held only %v", m.id, v, slices.Sorted(maps.Keys(m.seen)))
	}
	m.next++
	m.seen = nil
}

func (w *world) send(m *mount, kind string, v int) *rpc {
	m.txs++
	c := &rpc{mount: m, kind: kind, id: fmt.Sprintf("%d.%d %s", m.id, m.txs, kind), value: v, mark: m.holder.Leave()}
	w.rpcs = append(w.rpcs, c)
	return c
}

func (w *world) startFlush(m *mount) { m.flush = w.send(m, "flush", m.cached) }

// arrive: the leader takes a call. A call that has arrived at a dead leader arrives again.
func (w *world) arrive(c *rpc) {
	c.reign = w.reign
	if w.ended[c.mount.id] {
		c.back, c.err = true, true
		return
	}
	c.asked = &Request{Session: c.mount.id, Ino: 1}
	switch c.kind {
	case "read":
		c.asked.Kind, c.asked.Mode = Hold, Shared
	case "page":
		c.asked.Kind, c.asked.Mode, c.asked.Page = Hold, Shared, true
	case "own":
		c.asked.Kind, c.asked.Mode = Hold, Exclusive
	default:
		c.asked.Kind = Change
		if w.rules.changeOpenly {
			c.asked.Kind = Stray
		}
	}
	w.table.Ask(c.asked)
	w.takeRecalls()
}

func (w *world) takeRecalls() {
	recalls, _ := w.table.Take()
	for _, r := range recalls {
		w.down[r.Session] = append(w.down[r.Session], r)
	}
}

// execute: the table has let the call through; the state is read, or changed.
func (w *world) execute(c *rpc) {
	c.back = true
	switch {
	case w.ended[c.mount.id]:
		c.err = true
	case c.kind == "read" || c.kind == "own" || c.kind == "page":
		c.value, c.version = w.value, w.version
	case !w.done[c.id]:
		w.done[c.id] = true
		w.version++
		w.value, c.version = c.value, w.version
		if c.kind == "write" {
			w.setGhost(c.value)
		}
	}
	if c.asked.Kind == Change || c.asked.Kind == Stray {
		w.table.End(c.asked)
		w.takeRecalls()
	}
}

// answer: the mount takes an answer.
func (w *world) answer(c *rpc) {
	m := c.mount
	w.rpcs = slices.DeleteFunc(w.rpcs, func(o *rpc) bool { return o == c })
	kept := false
	if c.kind == "read" || c.kind == "own" || c.kind == "page" {
		if w.rules.keepOvertaken {
			clear(m.holder.recalls)
		}
		kept = m.holder.Granted(c.mark, uint64(c.reign), c.asked.grantOr())
	}
	m.holder.Back()
	if m.gone {
		return
	}
	if c.err {
		w.lose(m)
		return
	}
	old := c.version < m.known
	m.known = max(m.known, c.version)
	if kept && !m.dirty && !old {
		m.cached = c.value
	}
	switch c.kind {
	case "page":
		m.call = nil
		w.filled(m, c, kept, old)
	case "read":
		m.call = nil
		if old && !m.dirty { // a change of our own has been answered meanwhile, which this answer does not know of
			m.call = w.send(m, "read", 0)
			return
		}
		if m.dirty { // what this mount has written itself lies over what the leader knows
			c.value = m.cached
		}
		w.returned(m, c.value)
	case "own":
		m.call = nil
		if u, ok := m.holder.Begin(1, Exclusive, w.clock(m)); ok {
			w.writeLocal(m)
			u.Done()
			return
		}
		m.call = w.send(m, "write", int(m.id)*100+m.next)
	case "write":
		m.call = nil
		m.cached, m.dirty, m.page = c.value, false, nil
		w.returned(m, -1)
	case "flush":
		m.flush = nil
		if m.cached == c.value {
			m.dirty = false
		}
	}
}

// grantOr is the grant of a request that may never have been asked.
func (r *Request) grantOr() Grant {
	if r == nil {
		return Grant{}
	}
	return r.Grant
}

func (w *world) recalled(m *mount) {
	r := w.down[m.id][0]
	w.down[m.id] = w.down[m.id][1:]
	if a, now := m.holder.Recalled(r); now {
		w.up[m.id] = append(w.up[m.id], message{ack: a})
	}
}

func (w *world) giveBack(m *mount) {
	a, ok := m.holder.GiveBack(1)
	if !ok {
		w.broken = "nothing to give back"
	}
	m.pass = false
	if a.Mode == None {
		m.leases++
	}
	w.up[m.id] = append(w.up[m.id], message{ack: a})
}

func (w *world) attach(m *mount) {
	m.reign = w.reign
	if w.ended[m.id] {
		w.lose(m)
		return
	}
	w.up[m.id] = []message{{hello: append(m.holder.Reclaim(), Grant{})}}
	m.holder.Attached(uint64(w.reign))
}

func (w *world) receive(s fs.SessionID) {
	msg := w.up[s][0]
	w.up[s] = w.up[s][1:]
	if w.ended[s] {
		return
	}
	if msg.hello == nil {
		w.table.Ack(s, msg.ack)
	} else {
		for _, g := range msg.hello {
			if !w.table.Reclaim(s, g.Ino, g.Mode) && g.Mode != None {
				w.broken = fmt.Sprintf("session %d cannot reclaim %v", s, g)
			}
		}
		w.table.Told(s)
	}
	w.takeRecalls()
}

func (w *world) die() {
	w.crash--
	w.reign++
	var live []fs.SessionID
	for _, m := range w.mounts {
		if !w.ended[m.id] && !w.rules.grantEarly {
			live = append(live, m.id)
		}
	}
	w.table = NewTable(live)
	clear(w.up)
	clear(w.down)
}

func (w *world) expire(m *mount) {
	w.ended[m.id] = true
	if m.dirty && w.ghost == m.cached {
		w.setGhost(w.value) // it was never synced, and its mount is gone
	}
	w.table.Drop(m.id)
	w.takeRecalls()
}

// lose: the mount has been told that its session is over.
func (w *world) lose(m *mount) {
	m.gone, m.page = true, nil
	m.holder.Lose()
}

// stuck says what is wrong when nothing can happen any more.
func (w *world) stuck() string {
	for _, m := range w.mounts {
		if !m.gone && m.next < len(m.script) {
			return fmt.Sprintf("nothing can happen any more, and mount %d waits for its %s", m.id, m.script[m.next])
		}
	}
	return ""
}

// String is all of the state that matters for what may happen next.
func (w *world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %v %v %d %d %d %d %d|", w.value, w.version, w.ended, w.done, w.ghost, w.reign, w.crash, w.lapse, w.spare)
	for _, m := range w.mounts {
		fmt.Fprintf(&b, "%d %d %d %d %v %d %v %v %v %v %d|", m.now, m.reign, m.cached, m.known, m.dirty, m.next, m.gone, m.use != nil, m.call != nil, m.seen, m.txs)
		fmt.Fprintf(&b, "%d %v %v", m.leases, m.pass, m.again)
		if m.page != nil {
			fmt.Fprint(&b, "p", *m.page)
		}
		if m.fill != nil {
			fmt.Fprint(&b, "f", *m.fill)
		}
		b.WriteString(m.holder.dump())
	}
	for _, c := range w.rpcs {
		fmt.Fprintf(&b, "%s %d %d %d %d %v %v %v|", c.id, c.value, c.version, c.mark, c.reign, c.asked, c.back, c.err)
	}
	fmt.Fprintf(&b, "%v %v|%s", w.up, w.down, w.table.dump())
	return b.String()
}

func (h *Holder) dump() string {
	s := fmt.Sprintf("%d %d %d %v %d %d ", h.until, h.Until(), h.flying, h.recalls, h.reign, h.term)
	for _, ino := range slices.Sorted(maps.Keys(h.leases)) {
		l := *h.leases[ino]
		l.nth = 0
		s += fmt.Sprint(ino, l)
	}
	return s
}

func (t *Table) dump() string {
	s := fmt.Sprintf("%d %v ", t.seq, t.owing)
	for _, ino := range slices.Sorted(maps.Keys(t.inodes)) {
		i := t.inodes[ino]
		s += fmt.Sprint(ino)
		for _, id := range slices.Sorted(maps.Keys(i.holders)) {
			s += fmt.Sprint(id, *i.holders[id])
		}
		for _, r := range append(slices.Clone(i.queue), i.changes...) {
			s += fmt.Sprint(*r)
		}
	}
	return s
}
