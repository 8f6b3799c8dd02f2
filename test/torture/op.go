package torture

import (
	"fmt"
	"strings"
	"syscall"
)

// Kind is a kind of operation, named for its system call.
type Kind string

// Operations on the content of a file.
const (
	Write    Kind = "pwrite"
	Append   Kind = "append"
	Truncate Kind = "ftruncate"
	Read     Kind = "pread"
	ReadAll  Kind = "read"
	ReadMap  Kind = "mmap"
	Size     Kind = "fstat"
	Sync     Kind = "fsync"
	Reopen   Kind = "reopen"
)

// Operations on names.
const (
	Create    Kind = "create" // O_EXCL
	Open      Kind = "open"   // O_CREAT without O_EXCL
	Stat      Kind = "stat"
	Unlink    Kind = "unlink"
	Mkdir     Kind = "mkdir"
	Rmdir     Kind = "rmdir"
	Rename    Kind = "rename"
	NoReplace Kind = "noreplace"
	Exchange  Kind = "exchange"
	Link      Kind = "link"
	List      Kind = "readdir"
	SyncDir   Kind = "fsyncdir"
)

// What only histories have: parts of the operations above that need not happen at one moment, and what a fault does.
const (
	listed Kind = "listed" // a name in a listing
	linked Kind = "linked" // the number of links in a stat
	part   Kind = "part"   // a place in a read of the whole file
	fence  Kind = "fence"  // a mount's session has ended
)

// Name is one of the few names that operations are about.
type Name struct {
	Dir  int // 0 or 1
	Name int // 0 … namesPerDir-1
}

const (
	dirs        = 2
	namesPerDir = 3
)

func (n Name) String() string { return fmt.Sprintf("d%d/%c", n.Dir, 'a'+n.Name) }

func (n Name) base() string { return string(rune('a' + n.Name)) }

func (n Name) index() int { return n.Dir*namesPerDir + n.Name }

// Op is an operation.
type Op struct {
	Kind  Kind
	File  int    `json:",omitempty"` // which file, for operations on content
	Slot  int    `json:",omitempty"` // place in the file, in strides
	Value uint32 `json:",omitempty"` // what is written: no other operation of the round writes it
	Sync  bool   `json:",omitempty"` // fsync belongs to it: it is over when that is
	Name  Name   `json:",omitzero"`  // for operations on names
	To    Name   `json:",omitzero"`  // of a rename or link
}

func (o Op) changes() bool {
	switch o.Kind {
	case Write, Append, Truncate, Create, Open, Unlink, Mkdir, Rmdir, Rename, NoReplace, Exchange, Link:
		return true
	}
	return false
}

// onContent tells operations on a file's content from those on names.
func (o Op) onContent() bool {
	switch o.Kind {
	case Write, Append, Truncate, Read, ReadAll, ReadMap, Size, Sync, Reopen, part:
		return true
	}
	return false
}

// Record is an operation and what became of it. Times are of the machine's monotonic clock, in nanoseconds.
type Record struct {
	Op
	Worker int
	Mount  int
	Call   int64
	Return int64

	Errno  syscall.Errno `json:",omitempty"`
	Ino    uint64        `json:",omitempty"`
	Nlink  uint64        `json:",omitempty"`
	IsDir  bool          `json:",omitempty"`
	There  bool          `json:",omitempty"` // of a name in a listing
	Size   int64         `json:",omitempty"` // bytes
	Values []uint32      `json:",omitempty"` // what was read; of a read of all: a stride each
	Wrong  string        `json:",omitempty"` // what no filesystem may answer, in words
	Names  []Entry       `json:",omitempty"` // of a listing

	// twice allows a rename to find that its two names mean the same although it looked at them one after the other.
	twice bool
}

// Entry is a name in a listing.
type Entry struct {
	Name  string
	IsDir bool
}

// settled reports whether the outcome is known: it worked, or failed in a way that is an answer.
func (r *Record) settled() bool {
	if r.onContent() {
		return r.Errno == 0 || r.Kind == ReadMap && r.Errno == syscall.EFAULT
	}
	switch r.Errno {
	case 0, syscall.ENOENT, syscall.EEXIST, syscall.ENOTDIR, syscall.EISDIR, syscall.ESTALE:
		return true
	}
	return false
}

func (r *Record) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "m%d.w%d %s", r.Mount, r.Worker, r.Kind)
	switch {
	case r.Kind == fence:
	case r.onContent():
		fmt.Fprintf(b, " f%d", r.File)
		switch r.Kind {
		case Write, Truncate, Read, ReadMap, part:
			fmt.Fprintf(b, "[%d]", r.Slot)
		}
		if r.Value != 0 {
			fmt.Fprintf(b, "=%d", r.Value)
		}
	case r.Kind == Rename || r.Kind == NoReplace || r.Kind == Exchange || r.Kind == Link:
		fmt.Fprintf(b, " %s %s", r.Name, r.To)
	case r.Kind != linked:
		fmt.Fprintf(b, " %s", r.Name)
	}
	if r.Op.Sync {
		b.WriteString("+fsync")
	}
	b.WriteString(r.answer())
	return b.String()
}

func (r *Record) answer() string {
	b := &strings.Builder{}
	if r.Errno != 0 {
		fmt.Fprintf(b, " %s", r.Errno.Error())
	}
	if r.Ino != 0 {
		fmt.Fprintf(b, " ino %d", r.Ino)
	}
	if r.Nlink != 0 || r.Kind == linked {
		fmt.Fprintf(b, " nlink %d", r.Nlink)
	}
	if r.IsDir {
		b.WriteString(" dir")
	}
	if r.Kind == listed {
		fmt.Fprintf(b, " %v", r.There)
	}
	if r.Kind == Size || r.Kind == ReadAll {
		fmt.Fprintf(b, " size %d", r.Size)
	}
	if r.Kind == Read || r.Kind == ReadAll || r.Kind == ReadMap || r.Kind == part {
		fmt.Fprintf(b, " %v", r.Values)
	}
	return b.String()
}
