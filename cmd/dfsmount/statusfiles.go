package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"dfs/cmd/dfsmount/mount"
	"dfs/cmd/internal/version"
)

// statusFiles are what this mount can say without asking anybody.
func (m *mounter) statusFiles(client *mount.Client) map[string]func() string {
	began := time.Now()
	return map[string]func() string{
		"version": func() string { return version.String() + "\n" },
		"config":  m.describeConfig,
		"status":  func() string { return m.describeStatus(client, began) },
		"nodes":   func() string { return describeNodes(client) },
	}
}

// describeConfig names what this mount was told; none of it is secret.
func (m *mounter) describeConfig() string {
	out := &strings.Builder{}
	for _, o := range []struct {
		name  string
		value any
	}{
		{"nodes", m.Hosts}, {"directory", m.Dir}, {"read-only", m.fuse.readOnly}, {"allow-other", m.fuse.allowOther},
		{"zone", m.Zone}, {"write-policy", m.WritePolicy}, {"read-policy", m.ReadPolicy}, {"dirty-max", m.DirtyMax.String()},
		{"flush-age", m.FlushAge}, {"connect-timeout", m.ConnectTimeout}, {"op-timeout", m.OpTimeout}, {"insecure", m.Insecure},
		{"metrics", m.Metrics}, {"log-level", m.Log.Level}, {"log-format", m.Log.Format},
	} {
		fmt.Fprintf(out, "%s: %v\n", o.name, o.value)
	}
	return out.String()
}

func (m *mounter) describeStatus(client *mount.Client, began time.Time) string {
	since, gone := client.FS.Silence()
	cluster := "answers"
	if gone {
		cluster = "DOES NOT ANSWER: calls fail when it has not done so for op-timeout; dfs doctor says why"
	}
	room := "enough"
	if client.FS.Limited() {
		room = "as the cluster grants it: there are quotas, or little space is left"
	}
	return fmt.Sprintf("cluster: %s\nlast answer: %s ago\nroom for writes: %s\nmounted from: %s\nprocess: %d\nup: %s\n", cluster, since.Round(time.Millisecond),
		room, client.Source, os.Getpid(), time.Since(began).Round(time.Second))
}

// describeNodes lists the nodes as the leader last told of them.
func describeNodes(client *mount.Client) string {
	out := &strings.Builder{}
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NODE\tADDRESS\tZONE\tSTATE\tFREE\tOF")
	for _, n := range client.FS.Nodes() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Addr, n.Zone, n.State, humanize.IBytes(n.Load.DiskFreeBytes), humanize.IBytes(n.Load.DiskTotalBytes))
	}
	_ = t.Flush() // a strings.Builder does not fail
	return out.String()
}
