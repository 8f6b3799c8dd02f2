package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Fabric is a network of namespaces: one for each node and one for clients, joined by a bridge in a namespace of its own.
type Fabric struct {
	t     testing.TB
	tag   string // of all its names
	hosts map[string]string
}

const (
	clientNamespace = "client"
	switchNamespace = "switch"
)

// fabrics counts them, so that two at a time have different names.
var fabrics atomic.Int32

// namespaceTag starts the names of this process's namespaces.
func namespaceTag() string { return fmt.Sprintf("dfs%d-", os.Getpid()) }

// NewFabric makes an empty network. It skips the test without root, ip and nft.
func NewFabric(t testing.TB) *Fabric {
	t.Helper()
	NeedProgram(t, "ip", "nft", "nsenter")
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	f := &Fabric{t: t, tag: fmt.Sprintf("%s%d-", namespaceTag(), fabrics.Add(1)), hosts: map[string]string{}}
	f.makeSwitch()
	return f
}

// StartNetnsCluster starts n nodes, each in a network namespace of its own.
func StartNetnsCluster(t testing.TB, n int, flags ...string) (*Cluster, *Fabric) {
	t.Helper()
	f := NewFabric(t)
	c := newCluster(t, flags)
	c.net = f
	f.attach(clientNamespace)
	c.add(n)
	for _, node := range c.Nodes {
		node.Start()
	}
	c.WaitFormed(n)
	return c, f
}

func (f *Fabric) makeSwitch() {
	f.t.Helper()
	ns := f.tag + switchNamespace
	if r := (Command{Argv: []string{"ip", "netns", "add", ns}}).Exec(); r.Code != 0 {
		f.t.Skipf("network namespaces cannot be made here: %s", strings.TrimSpace(r.Err))
	}
	f.t.Cleanup(func() { f.remove(ns) })
	f.ip("-n", ns, "link", "add", "br0", "type", "bridge")
	f.ip("-n", ns, "link", "set", "br0", "up")
}

// attach makes the namespace of a host and plugs it into the switch.
func (f *Fabric) attach(name string) {
	f.t.Helper()
	ns, sw := f.tag+name, f.tag+switchNamespace
	f.hosts[name] = fmt.Sprintf("10.99.0.%d", len(f.hosts)+1)
	f.ip("netns", "add", ns)
	f.t.Cleanup(func() { f.remove(ns) })
	f.ip("-n", sw, "link", "add", "to-"+name, "type", "veth", "peer", "name", "eth0", "netns", ns)
	f.ip("-n", sw, "link", "set", "to-"+name, "master", "br0", "up")
	f.ip("-n", ns, "addr", "add", f.hosts[name]+"/24", "dev", "eth0")
	f.ip("-n", ns, "link", "set", "lo", "up")
	f.ip("-n", ns, "link", "set", "eth0", "up")
}

func (f *Fabric) ip(args ...string) {
	f.t.Helper()
	Run(f.t, append([]string{"ip"}, args...)...)
}

func (f *Fabric) remove(ns string) {
	f.t.Helper()
	if err := deleteNamespace(ns); err != nil {
		f.t.Error(err)
	}
}

// host is the address of a name, whose namespace is made at first use.
func (f *Fabric) host(name string) string {
	if f.hosts[name] == "" {
		f.attach(name)
	}
	return f.hosts[name]
}

// within makes a command line run in a namespace. It enters the network only: "ip netns exec" would also make a new
// mount namespace, and a mount made there would be seen by nobody.
func (f *Fabric) within(name string, argv []string) []string {
	return append([]string{"nsenter", "--net=/run/netns/" + f.tag + name, "--"}, argv...)
}

// Cut cuts a node off: packets are dropped both ways, without a word to anybody, as when a cable is pulled.
func (f *Fabric) Cut(n *Node) {
	f.t.Helper()
	f.CutHost(n.Name)
}

// Heal undoes Cut.
func (f *Fabric) Heal(n *Node) {
	f.t.Helper()
	f.HealHost(n.Name)
}

// CutHost is Cut for any host.
func (f *Fabric) CutHost(host string) {
	f.t.Helper()
	f.nft(host, `table inet cut {
		chain in { type filter hook input priority 0; policy drop; iif lo accept; }
		chain out { type filter hook output priority 0; policy drop; oif lo accept; }
	}`)
}

// HealHost undoes CutHost.
func (f *Fabric) HealHost(host string) {
	f.t.Helper()
	f.nft(host, "delete table inet cut")
}

func (f *Fabric) nft(host, rules string) {
	f.t.Helper()
	r := Command{Argv: f.within(host, []string{"nft", "-f", "-"}), Stdin: rules, Timeout: 10 * time.Second}.Exec()
	if err := r.Failure(); err != nil {
		f.t.Fatalf("nft: %v", err)
	}
}

// Start starts one of our programs on a host, configured by nothing but env.
func (f *Fabric) Start(host, program string, env ...string) *Process {
	f.t.Helper()
	f.host(host)
	dir := testDir(f.t)
	f.t.Cleanup(func() { showLogs(f.t, dir) })
	return start(f.t, program, filepath.Join(dir, program+".log"), env, f.within(host, []string{Program(f.t, program)})...)
}

// Output runs one of our programs on a host and returns all that it says, whether it fails or not.
func (f *Fabric) Output(host, program string, args ...string) string {
	f.t.Helper()
	argv := f.within(host, append([]string{Program(f.t, program)}, args...))
	r := Command{Argv: argv, Timeout: 30 * time.Second}.Exec()
	return r.Out + r.Err
}

// StatusFrom asks a node from its own namespace, so that a node that is cut off answers too.
func (f *Fabric) StatusFrom(n *Node) string {
	f.t.Helper()
	return f.Output(n.Name, "dfs", "status", "--insecure", "--addr", n.RPC)
}

func ownNamespaces() []string {
	entries, err := os.ReadDir("/run/netns")
	if err != nil {
		return nil // there never were any
	}
	var own []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), namespaceTag()) {
			own = append(own, e.Name())
		}
	}
	return own
}

func deleteNamespace(ns string) error {
	return Command{Argv: []string{"ip", "netns", "del", ns}}.Exec().Failure()
}
