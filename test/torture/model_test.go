package torture

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// at gives records times: "2-5" is called at 2 and returns at 5.
func at(when string, mount int, r Record) Record {
	if _, err := fmt.Sscanf(when, "%d-%d", &r.Call, &r.Return); err != nil {
		panic(err)
	}
	r.Mount, r.Worker = mount, mount
	return r
}

var (
	a, b = Name{0, 0}, Name{0, 1}
	c    = Name{1, 2}
)

func write(slot int, value uint32) Record {
	return Record{Op: Op{Kind: Write, File: narrow, Slot: slot, Value: value}}
}

func read(slot int, values ...uint32) Record {
	return Record{Op: Op{Kind: Read, File: narrow, Slot: slot}, Values: values}
}

func size(file int, bytes int64) Record { return Record{Op: Op{Kind: Size, File: file}, Size: bytes} }

func add(value uint32) Record { return Record{Op: Op{Kind: Append, File: log, Value: value}} }

func all(values ...uint32) Record {
	return Record{Op: Op{Kind: ReadAll, File: log}, Values: values, Size: 8 * int64(len(values))}
}

func truncate(slot int) Record { return Record{Op: Op{Kind: Truncate, File: narrow, Slot: slot}} }

func mapped(slot int, values ...uint32) Record {
	return Record{Op: Op{Kind: ReadMap, File: narrow, Slot: slot}, Values: values}
}

func synced(r Record) Record { r.Op.Sync = true; return r }

func failed(r Record, errno syscall.Errno) Record { r.Errno = errno; return r }

func on(kind Kind, name Name) Record { return Record{Op: Op{Kind: kind, Name: name}} }

func two(kind Kind, from, to Name) Record { return Record{Op: Op{Kind: kind, Name: from, To: to}} }

func created(name Name, ino uint64) Record { r := on(Create, name); r.Ino = ino; return r }

func opened(name Name, ino uint64) Record { r := on(Open, name); r.Ino = ino; return r }

func stat(name Name, ino, nlink uint64) Record {
	r := on(Stat, name)
	r.Ino, r.Nlink = ino, nlink
	return r
}

func statDir(name Name, ino uint64) Record { r := on(Stat, name); r.Ino, r.IsDir = ino, true; return r }

func link(ino uint64, to Name) Record { r := two(Link, a, to); r.Ino = ino; return r }

func list(dir int, names ...string) Record {
	r := on(List, Name{Dir: dir})
	for _, n := range names {
		r.Names = append(r.Names, Entry{Name: n})
	}
	return r
}

const (
	good = true
	bad  = false
)

// histories are what the models must allow and what they must not. Session 1 ends between 50 and 60 where fenced is set.
var histories = []struct {
	name   string
	want   bool
	fenced bool
	of     []Record
}{
	{"one after the other", good, false, []Record{at("1-2", 0, write(0, 7)), at("3-4", 1, read(0, 7)), at("5-6", 1, size(narrow, 8))}},
	{"a read at the same time sees the old or the new", good, false, []Record{at("1-9", 0, write(0, 7)), at("2-3", 1, read(0)), at("4-5", 1, read(0, 7))}},
	{"a stale read", bad, false, []Record{at("1-2", 0, write(0, 7)), at("3-4", 0, write(0, 8)), at("5-6", 1, read(0, 7))}},
	{"a stale size", bad, false, []Record{at("1-2", 0, write(0, 7)), at("3-4", 1, size(narrow, 0))}},
	{"new, then old", bad, false, []Record{at("1-9", 0, write(0, 7)), at("2-3", 1, read(0, 7)), at("4-5", 0, read(0))}},
	{"a hole reads as zero", good, false, []Record{at("1-2", 0, write(2, 7)), at("3-4", 1, read(1, 0)), at("3-4", 1, read(3))}},
	{"a truncated slot comes back as zero", good, false, []Record{at("1-2", 0, write(1, 7)), at("3-4", 0, truncate(1)), at("5-6", 1, write(2, 8)), at("7-8", 1, read(1, 0))}},
	{"a truncated slot comes back", bad, false, []Record{at("1-2", 0, write(1, 7)), at("3-4", 0, truncate(1)), at("5-6", 1, write(2, 8)), at("7-8", 1, read(1, 7))}},
	{"a mapping beyond the end", good, false, []Record{at("1-2", 0, failed(mapped(0), syscall.EFAULT)), at("3-4", 1, write(0, 7)), at("5-6", 0, mapped(0, 7)), at("5-6", 0, mapped(3, 0))}},
	{"a stale mapping", bad, false, []Record{at("1-2", 0, write(0, 7)), at("3-4", 1, write(0, 8)), at("5-6", 0, mapped(0, 7))}},

	{"a mapping without what was written", bad, false, []Record{at("1-2", 0, write(0, 7)), at("3-4", 1, mapped(0, 0))}},

	{"appends of two", good, false, []Record{at("1-5", 0, add(1)), at("2-4", 1, add(2)), at("6-7", 0, all(2, 1)), at("8-9", 1, size(log, 16))}},
	{"a lost append", bad, false, []Record{at("1-2", 0, add(1)), at("3-4", 1, add(2)), at("5-6", 0, all(2))}},
	{"a read of less than there is", bad, false, []Record{at("1-2", 0, add(1)), at("3-4", 1, add(2)), at("5-6", 0, Record{Op: all().Op, Values: []uint32{1}, Size: 16})}},
	{"a read of more than there is", bad, false, []Record{at("1-2", 0, add(1)), at("3-4", 1, Record{Op: all().Op, Values: []uint32{1, 0}, Size: 16})}},
	{"an append over a truncated file", good, false, []Record{at("1-2", 0, Record{Op: Op{Kind: Append, File: cutLog, Value: 1}}),
		at("3-4", 1, Record{Op: Op{Kind: Truncate, File: cutLog}}), at("5-6", 0, Record{Op: Op{Kind: Append, File: cutLog, Value: 2}}), at("7-8", 1, size(cutLog, 8))}},
	{"an append at a remembered end", bad, false, []Record{at("1-2", 0, Record{Op: Op{Kind: Append, File: cutLog, Value: 1}}),
		at("3-4", 1, Record{Op: Op{Kind: Truncate, File: cutLog}}), at("5-6", 0, Record{Op: Op{Kind: Append, File: cutLog, Value: 2}}), at("7-8", 1, size(cutLog, 16))}},

	{"unsynced work is lost from its end", good, true, []Record{at("1-2", 1, write(0, 1)), at("3-4", 1, write(0, 2)), at("55-70", 0, read(0, 1)), at("71-72", 1, read(0, 1))}},
	{"unsynced work is lost from its beginning", bad, true, []Record{at("1-2", 1, write(0, 1)), at("3-4", 1, write(1, 2)), at("61-62", 0, read(0, 0)), at("63-64", 0, read(1, 2))}},
	{"synced work is lost", bad, true, []Record{at("1-2", 1, synced(write(0, 1))), at("3-4", 1, write(0, 2)), at("61-62", 0, read(0))}},
	{"work before an fsync is lost", bad, true, []Record{at("1-2", 1, write(0, 1)), at("3-4", 1, Record{Op: Op{Kind: Sync, File: narrow}}), at("61-62", 0, read(0))}},
	{"what another mount has seen is lost", bad, true, []Record{at("1-2", 1, write(0, 1)), at("3-4", 0, read(0, 1)), at("61-62", 0, read(0))}},
	{"a mapping's missing page has seen nothing", good, true, []Record{at("1-2", 1, write(0, 1)), at("3-4", 0, failed(mapped(0), syscall.EFAULT)), at("61-62", 0, read(0))}},
	{"another mount's unsynced work is lost", bad, true, []Record{at("1-2", 0, write(0, 1)), at("61-62", 1, read(0))}},
	{"lost work is read by its mount afterwards", bad, true, []Record{at("1-2", 1, write(0, 1)), at("61-62", 0, read(0)), at("63-64", 1, read(0, 1))}},
	{"work is lost before the fault", bad, true, []Record{at("1-2", 1, write(0, 1)), at("3-4", 1, read(0)), at("61-62", 0, read(0))}},
	{"a failed write happens late", good, true, []Record{at("51-55", 1, failed(write(0, 1), syscall.EIO)), at("61-62", 0, read(0)), at("63-64", 0, read(0, 1))}},
	{"a failed write happens twice", bad, true, []Record{at("51-55", 1, failed(write(0, 1), syscall.EIO)), at("61-62", 0, read(0, 1)), at("63-64", 0, write(0, 2)), at("65-66", 1, read(0, 1))}},
	{"a call fails without a reason", bad, false, []Record{at("1-2", 0, failed(read(0), syscall.EIO))}},
	{"a call of the other mount fails", bad, true, []Record{at("51-52", 0, failed(read(0), syscall.EIO))}},

	{"two creates of which one wins", good, false, []Record{at("1-5", 0, created(a, 11)), at("2-4", 1, failed(on(Create, a), syscall.EEXIST)), at("6-7", 1, stat(a, 11, 1))}},
	{"two exclusive creates that both win", bad, false, []Record{at("1-5", 0, created(a, 11)), at("2-4", 1, created(a, 12))}},
	{"two opens of different files", bad, false, []Record{at("1-5", 0, opened(a, 11)), at("2-4", 1, opened(a, 12))}},
	{"two opens of one file", good, false, []Record{at("1-5", 0, opened(a, 11)), at("2-4", 1, opened(a, 11))}},
	{"a negative entry that stays", bad, false, []Record{at("1-2", 0, failed(on(Stat, a), syscall.ENOENT)), at("3-4", 1, created(a, 11)), at("5-6", 0, failed(on(Stat, a), syscall.ENOENT))}},
	{"an entry that stays", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, on(Unlink, a)), at("5-6", 0, stat(a, 11, 1))}},
	{"a rename over another", good, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 0, created(c, 12)), at("5-6", 1, two(Rename, a, c)),
		at("7-8", 0, stat(c, 11, 1)), at("7-8", 0, failed(on(Stat, a), syscall.ENOENT))}},
	{"a file that was renamed in both directories", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, two(Rename, a, c)), at("5-6", 0, stat(c, 11, 1)), at("7-8", 0, stat(a, 11, 1))}},
	{"a gap in a replacing rename", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 0, created(b, 12)), at("5-9", 1, two(Rename, a, b)), at("6-7", 0, failed(on(Stat, b), syscall.ENOENT))}},
	{"two renames of one file", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-9", 0, two(Rename, a, b)), at("4-8", 1, two(Rename, a, c))}},
	{"a rename that replaces what it must not", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 0, created(b, 12)), at("5-6", 1, two(NoReplace, a, b))}},
	{"a rename over another name of the same file", good, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 0, link(11, b)), at("5-6", 1, two(Rename, a, b)), at("7-8", 0, stat(a, 11, 2))}},
	{"a rename of a file over a directory", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 0, on(Mkdir, b)), at("5-6", 1, two(Rename, a, b))}},
	{"an exchange", good, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 0, on(Mkdir, b)), at("5-6", 1, two(Exchange, a, b)), at("7-8", 0, statDir(a, 13)), at("7-8", 0, stat(b, 11, 1))}},
	{"half an exchange", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 0, created(b, 12)), at("5-6", 1, two(Exchange, a, b)), at("7-8", 0, stat(a, 12, 1)), at("9-10", 0, stat(b, 12, 1))}},
	{"a link", good, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, link(11, c)), at("5-6", 0, stat(a, 11, 2)), at("7-8", 0, on(Unlink, a)), at("9-10", 1, stat(c, 11, 1))}},
	{"a stale number of links", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, link(11, c)), at("5-6", 0, stat(a, 11, 1))}},
	{"a name that goes after its file's count, during the unlink", good, false, []Record{at("1-2", 0, created(a, 11)), at("3-9", 0, on(Unlink, a)), at("4-5", 0, stat(a, 11, 0)), at("6-7", 0, stat(a, 11, 0))}},
	{"a name that goes after its file's count, elsewhere", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-9", 0, on(Unlink, a)), at("4-5", 1, stat(a, 11, 0)), at("6-7", 1, stat(a, 11, 0))}},
	{"a name that is there after the unlink", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-6", 0, on(Unlink, a)), at("4-5", 0, stat(a, 11, 0)), at("7-8", 0, stat(a, 11, 0))}},
	{"a link of what is gone", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, on(Unlink, a)), at("5-6", 0, link(11, c))}},
	{"a directory removed as a file", bad, false, []Record{at("1-2", 0, on(Mkdir, a)), at("3-4", 1, on(Unlink, a))}},
	{"an exclusive create of what is there", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, created(a, 12))}},
	{"a directory opened as a file", bad, false, []Record{at("1-2", 0, on(Mkdir, a)), at("3-4", 1, opened(a, 11))}},
	{"a directory that is a file elsewhere", bad, false, []Record{at("1-2", 0, on(Mkdir, a)), at("3-4", 1, stat(a, 11, 1))}},
	{"an exchange with nothing", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, two(Exchange, a, b))}},
	{"too many links", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, stat(a, 11, 2))}},
	{"a link of what cannot be linked", good, false, []Record{at("1-2", 0, created(b, 11)), at("3-4", 1, link(0, b)), at("5-6", 1, stat(b, 11, 1))}},
	{"a new file with a number that is in use", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, created(b, 11))}},
	{"a directory that changes its number", bad, false, []Record{at("1-2", 0, on(Mkdir, a)), at("3-4", 1, statDir(a, 11)), at("5-6", 1, statDir(a, 12))}},
	{"a listing of what came meanwhile, or not", good, false, []Record{at("1-2", 0, created(a, 11)), at("3-9", 0, created(b, 12)), at("4-5", 1, list(0, "a", "b")), at("6-7", 1, list(0, "b", "a"))}},
	{"a listing without what stays", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-9", 0, created(b, 12)), at("4-5", 1, list(0, "b"))}},
	{"a listing with what is gone", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 0, on(Unlink, a)), at("5-6", 1, list(0, "a"))}},
	{"it is there already: create", bad, false, []Record{at("1-2", 0, failed(on(Create, a), syscall.EEXIST))}},
	{"it is there already: rename", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, failed(two(NoReplace, a, b), syscall.EEXIST))}},
	{"it is there already: link", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, failed(link(11, b), syscall.EEXIST))}},
	{"it is a directory: unlink", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, failed(on(Unlink, a), syscall.EISDIR))}},
	{"it is a directory: rename", bad, false, []Record{at("1-2", 0, created(a, 11)), at("3-4", 1, failed(two(Rename, a, b), syscall.EISDIR))}},
	{"it is no directory: rmdir", bad, false, []Record{at("1-2", 0, on(Mkdir, a)), at("3-4", 1, failed(on(Rmdir, a), syscall.ENOTDIR))}},
	{"it is no directory: rename", bad, false, []Record{at("1-2", 0, on(Mkdir, a)), at("3-4", 1, failed(two(Rename, a, b), syscall.ENOTDIR))}},
	{"an answer that is none", bad, false, []Record{at("1-2", 0, failed(on(Mkdir, a), syscall.ENOENT))}},

	{"unsynced names are lost from their end", good, true, []Record{at("1-2", 1, created(a, 11)), at("3-4", 1, two(Rename, a, c)), at("61-62", 0, stat(a, 11, 1)), at("63-64", 1, failed(on(Stat, c), syscall.ENOENT))}},
	{"half a rename is lost", bad, true, []Record{at("1-2", 1, created(a, 11)), at("3-4", 1, on(SyncDir, a)), at("5-6", 1, two(Rename, a, c)), at("61-62", 0, failed(on(Stat, a), syscall.ENOENT)), at("63-64", 1, failed(on(Stat, c), syscall.ENOENT))}},
	{"a synced name is lost", bad, true, []Record{at("1-2", 1, created(a, 11)), at("3-4", 1, on(SyncDir, a)), at("61-62", 0, failed(on(Stat, a), syscall.ENOENT))}},
	{"a name that another mount has seen is lost", bad, true, []Record{at("1-2", 1, created(a, 11)), at("3-4", 0, stat(a, 11, 1)), at("61-62", 0, failed(on(Stat, a), syscall.ENOENT))}},
	{"the other mount's names stay", good, true, []Record{at("1-2", 1, created(a, 11)), at("3-4", 0, created(c, 12)), at("61-62", 0, failed(on(Stat, a), syscall.ENOENT)), at("63-64", 1, stat(c, 12, 1))}},
	{"the other mount's names go as well", bad, true, []Record{at("1-2", 1, created(a, 11)), at("3-4", 0, created(c, 12)), at("61-62", 1, failed(on(Stat, c), syscall.ENOENT))}},
	{"a create that failed, and is found out", good, true, []Record{at("51-55", 1, failed(on(Create, a), syscall.EHOSTUNREACH)), at("61-62", 0, stat(a, 11, 1)), at("63-64", 0, link(11, c)), at("65-66", 1, stat(c, 11, 2))}},
	{"a create that failed, and never happens", good, true, []Record{at("61-62", 1, failed(on(Create, a), syscall.EHOSTUNREACH)), at("63-64", 0, created(a, 12))}},
	{"a create that failed, and is somebody else's file", bad, true, []Record{at("51-55", 1, failed(on(Create, a), syscall.EHOSTUNREACH)), at("61-62", 0, created(c, 11)), at("63-64", 0, stat(a, 11, 1))}},
	{"a create that failed, and is two", bad, true, []Record{at("51-55", 1, failed(on(Create, a), syscall.EHOSTUNREACH)), at("61-62", 0, stat(a, 11, 1)), at("63-64", 0, stat(a, 12, 1))}},
}

func TestModels_TellGoodFromBadHistories(t *testing.T) {
	for _, h := range histories {
		round := &Round{Records: h.of, Fault: Fault{Ends: -1}}
		if h.fenced {
			round.Fault = Fault{Ends: 1, From: 50, To: 60}
		}
		tally := Check(Coherent, round)
		if got := len(tally.Violations) == 0; got != h.want || len(tally.undecided) > 0 {
			t.Errorf("%s: %v, want %v; %s", h.name, got, h.want, strings.Join(tally.Violations, "\n"))
		}
	}
}

func TestSettle_DecidesWhatTookTooLong(t *testing.T) {
	tally := Tally{}
	for _, h := range histories[:3] { // good, good, bad
		round := &Round{Records: h.of, Fault: Fault{Ends: -1}}
		tally.undecided = append(tally.undecided, round.histories(Coherent)...)
	}
	tally.Settle()
	if len(tally.Violations) != 1 || len(tally.Undecided()) != 0 {
		t.Errorf("undecided %v, violations %v", tally.Undecided(), tally.Violations)
	}
}

func TestTwoRenamesOfOneName_AreCountedOnlyIfTheKernelCanHaveDoneIt(t *testing.T) {
	onto := func(second Name) Tally {
		return Check(Coherent, &Round{Fault: Fault{Ends: -1}, Records: []Record{
			at("1-2", 0, created(a, 11)), at("3-9", 0, two(Rename, a, b)), at("4-8", 1, two(Rename, a, second))}})
	}
	if tally := onto(b); tally.Twice != 1 || len(tally.Violations) != 0 {
		t.Errorf("onto the same name: %+v", tally)
	}
	if tally := onto(c); tally.Twice != 0 || len(tally.Violations) != 1 {
		t.Errorf("onto different names: %+v", tally)
	}
}

func TestPublished_NamesAreNeverLost(t *testing.T) {
	lost := &Round{Fault: Fault{Ends: 1, From: 50, To: 60},
		Records: []Record{at("1-2", 1, created(a, 11)), at("61-62", 0, failed(on(Stat, a), syscall.ENOENT))}}
	if tally := Check(Published, lost); len(tally.Violations) != 1 {
		t.Errorf("a lost name is %q", tally.Violations)
	}
	if tally := Check(Coherent, lost); len(tally.Violations) != 0 {
		t.Errorf("an unsynced name that was lost is %q", tally.Violations)
	}
}

func TestPlan_IsTheSameForTheSameSeed(t *testing.T) {
	p := Plan{Seed: 5, Promise: Published}
	one, again, other := fmt.Sprint(p.Round(1, 3, 40)), fmt.Sprint(p.Round(1, 3, 40)), fmt.Sprint(p.Round(2, 3, 40))
	if one != again || one == other {
		t.Error("a round is not made from its seed and number")
	}
}

func TestPlan_PublishedSyncsWhatItChangesAndAppendsFromOneMount(t *testing.T) {
	appenders := map[int]bool{}
	for _, phase := range (Plan{Seed: 5}).Round(1, 4, 200) {
		for w, ops := range phase {
			for _, op := range ops {
				if !op.onContent() {
					continue
				}
				if op.changes() && !op.Sync || w >= Mounts {
					t.Fatalf("worker %d: %+v", w, op)
				}
				if op.Kind == Append {
					appenders[w%Mounts] = true
				}
			}
		}
	}
	if len(appenders) != 1 {
		t.Errorf("mounts %v append", appenders)
	}
}

func TestPlan_DoesEverything(t *testing.T) {
	did := map[Kind]bool{}
	for _, phase := range (Plan{Seed: 5, Promise: Coherent}).Round(1, 4, 200) {
		for _, ops := range phase {
			for _, op := range ops {
				did[op.Kind] = true
			}
		}
	}
	for _, k := range []Kind{Write, Append, Truncate, Read, ReadAll, ReadMap, Size, Sync, Reopen, Create, Open, Stat, Unlink, Mkdir, Rmdir,
		Rename, NoReplace, Exchange, Link, List, SyncDir} {
		if !did[k] {
			t.Errorf("no %s", k)
		}
	}
}

func TestContent_CutForgetsWhatIsBehind(t *testing.T) {
	c := content{}.with(0, 1, 8).with(2, 3, 8).cut(2, 8)
	if c.size != 16 || c.values != string([]byte{1, 0, 0, 0}) {
		t.Errorf("%+v", c)
	}
	if c := c.with(1, 256, 8).cut(2, 8); !slices.Equal([]uint32{c.at(0), c.at(1), c.at(2)}, []uint32{1, 256, 0}) {
		t.Errorf("%+v", c)
	}
}
