package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

const topLong = `Shows what nodes and mounts do, again and again: operations and errors a second, mean time of an operation, operations in
flight, bytes of file data a second. A node's operations are the calls that it answers, metadata and blobs; a mount's are
the requests of the kernel that it answers.

Mounts tell what they do with their beats, a few a session timeout: a pause of less than that between two looks shows 0, and what
a beat brought, by turns. Without a leader nobody hears of mounts. A node or mount that is new, or was started anew between two
looks, shows dashes, as does a mount of which the leader has not heard what it does.`

// top is one invocation.
type top struct {
	interval time.Duration
	once     bool
	asJSON   bool
	clear    bool // the screen, before each look
}

func (a *admin) topCommand() *cobra.Command {
	t := &top{}
	cmd := &cobra.Command{
		Use:     "top",
		Short:   "Watch operations, latencies and throughput of every node and mount",
		Long:    topLong,
		Example: "  dfs top\n  dfs top --once --interval 10s\n  dfs top --json | jq .Mounts",
		Args:    cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.interval < 100*time.Millisecond || t.interval > time.Hour {
				return fmt.Errorf("%w: --interval %s: want 100ms to 1h", config.ErrUsage, t.interval)
			}
			t.clear = !t.asJSON && !t.once && isTerminal(cmd.OutOrStdout())
			return a.watch(cmd.Context(), t, cmd.OutOrStdout())
		},
	}
	cmd.Flags().DurationVar(&t.interval, "interval", 5*time.Second, "pause between two looks")
	cmd.Flags().BoolVar(&t.once, "once", false, "look twice, show the difference, and end")
	cmd.Flags().BoolVar(&t.asJSON, "json", false, "print a line of JSON for programs at each look")
	return cmd
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// watch looks at every interval until ctx ends, which is no error: the user has seen enough.
func (a *admin) watch(ctx context.Context, t *top, w io.Writer) error {
	last, err := a.look(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		next, err := a.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && t.once {
			return err
		}
		if err != nil { // it may come back: the screen says so meanwhile
			if _, err := fmt.Fprintf(w, "%s: %v\n", time.Now().Format(time.TimeOnly), err); err != nil {
				return err
			}
			continue
		}
		if err := t.show(w, compare(last, next)); err != nil || t.once {
			return err
		}
		last = next
	}
}

// look is one sample of everybody's counters.
type look struct {
	at     time.Time
	status *fs.Status // of the node that can tell best
	nodes  []nodeAnswer
}

func (a *admin) look(ctx context.Context) (l *look, err error) {
	err = a.connect(ctx, func(ctx context.Context, c *metarpc.Client) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		l = &look{at: time.Now(), nodes: askMembers(ctx, c, s)}
		l.status = bestStatus(s, l.nodes)
		return nil
	})
	return l, err
}

// flow is what happened between two looks. Rates are by the second.
type flow struct {
	At      time.Time
	Seconds float64
	Cluster string
	Quorum  bool
	Leader  fs.NodeID
	Nodes   []rate
	Mounts  []rate
}

// rate is one node's or mount's part in it.
type rate struct {
	Name       string // of a node; of a mount its path
	Host       string // of a mount
	Session    fs.SessionID
	Known      bool // it was there at both looks, and answered
	Ops        float64
	Errors     float64
	MeanMillis float64 // of an operation; 0 without any
	InFlight   uint64
	Read       float64 // bytes
	Written    float64
}

// compare is what happened from one look to the next.
func compare(last, next *look) *flow {
	seconds := next.at.Sub(last.at).Seconds()
	f := &flow{At: next.at, Seconds: seconds, Cluster: next.status.Cluster, Quorum: next.status.Quorum, Leader: next.status.Leader}
	for i := range next.nodes {
		n := &next.nodes[i]
		r := rate{Name: string(n.ID)}
		before := slices.IndexFunc(last.nodes, func(l nodeAnswer) bool { return l.ID == n.ID && l.Err == nil })
		if n.Err == nil && before >= 0 {
			r.between(&last.nodes[before].Status.Activity, &n.Status.Activity, seconds)
		}
		f.Nodes = append(f.Nodes, r)
	}
	for i := range next.status.Sessions {
		m := &next.status.Sessions[i]
		r := rate{Name: m.Mount.Path, Host: m.Mount.Host, Session: m.ID}
		// A leader that is new has heard nothing of what the mount did before: from there on it would have done all of it now.
		before := slices.IndexFunc(last.status.Sessions, func(l fs.SessionStatus) bool {
			return l.ID == m.ID && l.IdleMillis >= 0 && l.Activity != fs.Activity{}
		})
		if m.IdleMillis >= 0 && before >= 0 {
			r.between(&last.status.Sessions[before].Activity, &m.Activity, seconds)
		}
		f.Mounts = append(f.Mounts, r)
	}
	return f
}

// between fills in the rates, if the counters have not begun anew in between.
func (r *rate) between(a, b *fs.Activity, seconds float64) {
	if b.Ops < a.Ops || b.Errors < a.Errors || b.BusyNanos < a.BusyNanos || b.ReadBytes < a.ReadBytes || b.WriteBytes < a.WriteBytes || seconds <= 0 {
		return
	}
	r.Known, r.InFlight = true, b.InFlight
	r.Ops, r.Errors = float64(b.Ops-a.Ops)/seconds, float64(b.Errors-a.Errors)/seconds
	r.Read, r.Written = float64(b.ReadBytes-a.ReadBytes)/seconds, float64(b.WriteBytes-a.WriteBytes)/seconds
	if n := b.Ops - a.Ops; n > 0 {
		r.MeanMillis = float64(b.BusyNanos-a.BusyNanos) / float64(n) / 1e6
	}
}

func (t *top) show(w io.Writer, f *flow) error {
	if t.asJSON {
		return writeJSONLine(w, f)
	}
	out := &strings.Builder{}
	if t.clear {
		out.WriteString("\x1b[H\x1b[2J")
	}
	quorum := ""
	if !f.Quorum {
		quorum = "   NO QUORUM"
	}
	fmt.Fprintf(out, "cluster %s%s   leader %s   %s, over %.1fs\n\n", f.Cluster, quorum, leaderName(f.Leader), f.At.Format(time.TimeOnly), f.Seconds)
	columns := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(columns, "NODE\tOPS/S\tERRORS/S\tMEAN\tIN FLIGHT\tREAD/S\tWRITTEN/S\t")
	for i := range f.Nodes {
		fmt.Fprintln(columns, f.Nodes[i].Name+f.Nodes[i].cells())
	}
	if len(f.Mounts) > 0 {
		fmt.Fprintln(columns, "\t\t\t\t\t\t\t\nMOUNT\tOPS/S\tERRORS/S\tMEAN\tIN FLIGHT\tREAD/S\tWRITTEN/S\t")
	}
	for i := range f.Mounts {
		fmt.Fprintln(columns, f.Mounts[i].Host+":"+f.Mounts[i].Name+f.Mounts[i].cells())
	}
	_ = columns.Flush() // a strings.Builder does not fail
	out.WriteByte('\n')
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *rate) cells() string {
	if !r.Known {
		return "\t-\t-\t-\t-\t-\t-\t"
	}
	return fmt.Sprintf("\t%.1f\t%.1f\t%.2f ms\t%d\t%s\t%s\t", r.Ops, r.Errors, r.MeanMillis, r.InFlight,
		humanize.IBytes(uint64(r.Read)), humanize.IBytes(uint64(r.Written)))
}
