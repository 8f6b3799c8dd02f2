package torture

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
)

// Round is what happened in a round.
type Round struct {
	Number  int
	Records []Record
	Fault   Fault
}

// Fault is what was broken in a round.
type Fault struct {
	Name string
	// Ends is the mount whose session ended, at some time between From and To; -1: none did. Only its calls may fail for reasons
	// that are no answers, and only what it has not synced may be lost.
	Ends     int
	From, To int64 // as by Now
}

// checkMax bounds the check of one file's, or the names', history in a round; settleMax the second one.
const (
	checkMax  = 20 * time.Second
	settleMax = 3 * time.Minute
)

// Tally counts what was checked.
type Tally struct {
	Ops        map[Kind]int
	Stale      int // names that were gone twice within one call, see DESIGN.md
	Unsettled  int // operations of a mount whose session ended that have failed, so that they may have happened or not
	Twice      int // histories that the kernel's way of renaming explains, see DESIGN.md
	Violations []string

	undecided []history
}

// Add adds other to t.
func (t *Tally) Add(other Tally) {
	if t.Ops == nil {
		t.Ops = map[Kind]int{}
	}
	for k, n := range other.Ops {
		t.Ops[k] += n
	}
	t.Stale += other.Stale
	t.Unsettled += other.Unsettled
	t.undecided = append(t.undecided, other.undecided...)
	t.Twice += other.Twice
	t.Violations = append(t.Violations, other.Violations...)
}

// Total is the number of operations.
func (t *Tally) Total() int {
	sum := 0
	for _, n := range t.Ops {
		sum += n
	}
	return sum
}

// Check compares a round with the models.
func Check(promise Promise, round *Round) Tally {
	t := Tally{Ops: map[Kind]int{}}
	blame := func(format string, args ...any) {
		t.Violations = append(t.Violations, fmt.Sprintf("round %d (%s): ", round.Number, round.Fault.Name)+fmt.Sprintf(format, args...))
	}
	for i := range round.Records {
		r := &round.Records[i]
		t.Ops[r.Kind]++
		switch {
		case r.Wrong != "":
			blame("%s: %s", r, r.Wrong)
		case !r.settled() && r.Mount != round.Fault.Ends:
			blame("%s failed", r)
		case !r.settled():
			t.Unsettled++
		case r.Errno == syscall.ESTALE:
			t.Stale++
		}
	}
	for _, h := range round.histories(promise) {
		h.of = fmt.Sprintf("round %d (%s): %s", round.Number, round.Fault.Name, h.of)
		t.judge(h, checkMax)
	}
	return t
}

// Undecided are the histories that took too long to check.
func (t *Tally) Undecided() []string {
	var all []string
	for _, h := range t.undecided {
		all = append(all, fmt.Sprintf("%s, %d operations", h.of, len(h.ops)))
	}
	return all
}

// Settle gives the histories that took too long more time, one after the other.
func (t *Tally) Settle() {
	left := t.undecided
	t.undecided = nil
	for _, h := range left {
		t.judge(h, settleMax)
	}
}

// judge counts a history as what it is, if that can be found out in time.
func (t *Tally) judge(h history, most time.Duration) {
	switch h.check(most) {
	case porcupine.Unknown:
		t.undecided = append(t.undecided, h)
	case porcupine.Illegal:
		if h.allowTwice() && h.check(most) == porcupine.Ok {
			t.Twice++
			return
		}
		_, info := porcupine.CheckOperationsVerbose(h.model, h.ops, checkMax)
		t.Violations = append(t.Violations, fmt.Sprintf("%s: no order of these operations explains the answers:\n%s", h.of, explain(h.ops, info)))
	}
}

// history is what happened to one file, or to all names.
type history struct {
	of    string
	model porcupine.Model
	ops   []porcupine.Operation
}

func (h *history) check(most time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(h.model, h.ops, most)
}

// allowTwice marks all renames that may find both names to be the same inode; false if there is none.
func (h *history) allowTwice() bool {
	any := false
	for _, op := range h.ops {
		r := op.Input.(*Record)
		if r.moves() && r.Kind != NoReplace && slices.ContainsFunc(h.ops, func(o porcupine.Operation) bool { return r.meets(o.Input.(*Record)) }) {
			r.twice, any = true, true
		}
	}
	return any
}

// moves reports whether a rename has worked.
func (r *Record) moves() bool {
	return (r.Kind == Rename || r.Kind == NoReplace || r.Kind == Exchange) && r.Errno == 0
}

// meets reports whether another mount has moved something between r's two names while r was at work.
func (r *Record) meets(o *Record) bool {
	return o.moves() && o.Mount != r.Mount && o.Call <= r.Return && r.Call <= o.Return &&
		(o.Name == r.Name && o.To == r.To || o.Name == r.To && o.To == r.Name)
}

// histories splits a round into parts that are linearizable on their own if the round is.
func (round *Round) histories(promise Promise) []history {
	namesFenced := round.Fault.Ends
	if promise == Published { // what is done to names is durable at once
		namesFenced = -1
	}
	all := []history{{of: "names", model: namesModel{namesFenced}.model()}}
	for f := range files {
		all = append(all, history{of: fmt.Sprintf("file %d", f), model: contentModel{stride(f), round.Fault.Ends}.model()})
	}
	for i := range round.Records {
		r := &round.Records[i]
		h := &all[0]
		if r.onContent() {
			h = &all[1+r.File]
		}
		for _, part := range r.parts() {
			if part.Kind == linked {
				part.Return = round.unnamed(part)
			}
			h.add(part)
		}
	}
	if round.Fault.Ends >= 0 {
		ended := &Record{Op: Op{Kind: fence}, Mount: round.Fault.Ends, Call: round.Fault.From, Return: round.Fault.To}
		for i := range all {
			all[i].add(ended)
		}
	}
	return all
}

// unnamed is when a count of links that r has seen must also be so by the names: when r's own mount has no removal under way any
// more. Linux counts down first, and lets go of the name then (vfs_unlink, vfs_rename).
func (round *Round) unnamed(r *Record) int64 {
	end := r.Return
	for i := range round.Records {
		o := &round.Records[i]
		if o.Mount == r.Mount && (o.Kind == Unlink || o.moves()) && o.Call <= r.Return && r.Call <= o.Return {
			end = max(end, o.Return)
		}
	}
	return end
}

func (h *history) add(r *Record) {
	op := porcupine.Operation{ClientId: r.Worker, Input: r, Call: r.Call, Return: r.Return}
	if !r.settled() { // it may happen yet
		op.Return = math.MaxInt64
	}
	h.ops = append(h.ops, op)
}

// parts are what of r happens at one moment each; none if it tells nothing.
func (r *Record) parts() []*Record {
	if r.Wrong != "" || !r.settled() && !r.Op.changes() {
		return nil
	}
	switch {
	case r.Kind == List:
		return r.listing()
	case r.Kind == Stat && r.Errno == 0 && !r.IsDir:
		links := *r
		links.Kind = linked
		return []*Record{r, &links}
	case r.Kind == ReadAll && r.File != log:
		return r.slots()
	case r.Kind == Link && r.Ino == 0, r.Kind == Reopen:
		return nil
	case r.Kind == ReadMap && r.Errno == syscall.EFAULT: // where it ends the kernel knows by its last look at the file, if no change was under way then
		return nil
	}
	return []*Record{r}
}

// listing is a name each: a listing is no snapshot.
func (r *Record) listing() []*Record {
	if r.Errno != 0 {
		return nil
	}
	var all []*Record
	for n := range namesPerDir {
		one := *r
		one.Kind, one.Names, one.Name = listed, nil, Name{r.Name.Dir, n}
		if i := slices.IndexFunc(r.Names, func(e Entry) bool { return e.Name == one.Name.base() }); i >= 0 {
			one.There, one.IsDir = true, r.Names[i].IsDir
		}
		all = append(all, &one)
	}
	return all
}

// slots is a slot each: a read is no snapshot while others write. The first one that is not there is the end.
func (r *Record) slots() []*Record {
	var all []*Record
	for slot := range len(r.Values) + 1 {
		one := *r
		one.Kind, one.Slot, one.Values = part, slot, nil
		if slot < len(r.Values) {
			one.Values = r.Values[slot : slot+1]
		}
		all = append(all, &one)
	}
	return all
}

const explainMax = 3000 // operations before the first that has no place

// explain shows the longest order that was found, as far as it matters, and what has no place after it.
func explain(ops []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	began := slices.MinFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) }).Call
	b := &strings.Builder{}
	for _, op := range longest[max(0, len(longest)-explainMax):] {
		describe(b, "  ", op, began)
	}
	rest := slices.DeleteFunc(slices.Clone(ops), func(op porcupine.Operation) bool {
		return slices.ContainsFunc(longest, func(l porcupine.Operation) bool { return l.Input == op.Input })
	})
	slices.SortFunc(rest, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, op := range rest[:min(len(rest), 8)] {
		describe(b, "? ", op, began)
	}
	return b.String()
}

func describe(b *strings.Builder, mark string, op porcupine.Operation, began int64) {
	end := "never"
	if op.Return < math.MaxInt64 {
		end = time.Duration(op.Return - began).Round(time.Microsecond).String()
	}
	fmt.Fprintf(b, "%s%12s … %-12s %s\n", mark, time.Duration(op.Call-began).Round(time.Microsecond), end, op.Input)
}
