package lease

import "dfs/fs"

// Kind is what a request is for.
type Kind uint8

// The kinds. What each waits for is in DESIGN.md.
const (
	Look   Kind = iota // read the inode once, and keep nothing
	Hold               // get a lease of Request.Mode
	Change             // propose a transaction that changes the inode
	Stray              // the same for pages of a shared mapping, which must not wait for anybody
)

// Request is one session's wish about one inode. Its owner fills in the first five fields and gives it to Table.Ask, which
// owns it until it is decided.
type Request struct {
	Session fs.SessionID
	Ino     fs.Ino
	Kind    Kind
	Mode    Mode // of a Hold
	Page    bool // a Hold shared that waits for its turn, rather than to get nothing

	// Grant is the answer to a Hold. Its Mode may be None: do what is to be done at the leader, and keep nothing.
	Grant Grant
	// Ended says that the session is over; nothing was granted.
	Ended bool

	state state
}

type state uint8

const (
	waiting state = iota
	active        // a Change or Stray that was let through; End follows
	over
)

// Decided reports whether the request needs no more waiting.
func (r *Request) Decided() bool { return r.state != waiting }
