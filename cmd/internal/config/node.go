package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"dfs/cluster/pki"
)

// Node is what dfsnode can be told.
type Node struct {
	File string // --config

	Name      string
	Dir       string
	Listen    string
	Gossip    string
	HTTP      string
	Metrics   string
	Advertise string
	PIDFile   string

	Join            string
	JoinToken       string // or @FILE
	Enrol           string
	BootstrapExpect int
	Zone            string
	Voters          int
	Replicas        int
	MinReplicas     int // 0: a majority of Replicas
	SessionTimeout  time.Duration
	GarbageGrace    time.Duration
	SweepInterval   time.Duration

	Reserve   Bytes // 0: the store's own default
	MaxBytes  Bytes // 0: the whole disk
	Placement string
	Insecure  bool
	TLS       TLS
	GossipKey string // file

	REST  REST
	Trace Trace
	Log   Log
}

// Register declares the flags of n.
func (n *Node) Register(flags *pflag.FlagSet) {
	flags.StringVar(&n.File, "config", "", "YAML file of options, one \"option: value\" a line")
	flags.StringVar(&n.Name, "name", "", "this node's name for life (default: host name and a random part, chosen with the directory)")
	flags.StringVar(&n.Dir, "dir", DefaultDir(), "where this node keeps its metadata and blobs")
	flags.StringVar(&n.Listen, "listen", "", "address of RPC and Raft (default 127.0.0.1:7400, or the interface that leads to --join)")
	flags.StringVar(&n.Gossip, "gossip", "", "address of gossip, TCP and UDP (default: the host of --listen, port 7401)")
	flags.StringVar(&n.HTTP, "http", "", "address of files (/v1/fs/), /livez, /readyz and /v1/status (default: the host of --listen, port 7480; \"off\")")
	flags.StringVar(&n.Metrics, "metrics", "", "address of Prometheus /metrics, with /livez and /readyz (default 127.0.0.1:7490; \"off\")")
	flags.StringVar(&n.Advertise, "advertise", "", "host under which others reach this node (default: that of --listen)")
	flags.StringVar(&n.PIDFile, "pid-file", "", "write the process id here, and remove it at exit")
	flags.StringVar(&n.Join, "join", "", "gossip addresses of nodes to join, comma-separated; default port 7401")
	flags.StringVar(&n.JoinToken, "join-token", "", "token made by \"dfs join-token\", or @FILE with one: gets a new machine its certificate, into --tls-dir; ignored once that is there")
	flags.StringVar(&n.Enrol, "enrol", "", "RPC addresses of nodes to show --join-token to, comma-separated; default port 7400 (default: the hosts of --join)")
	flags.IntVar(&n.BootstrapExpect, "bootstrap-expect", 0, "form a new cluster as soon as this many new nodes see each other (default 1 without --join and --config)")
	flags.StringVar(&n.Zone, "zone", "", "failure domain, such as a rack: replicas are spread over zones")
	flags.IntVar(&n.Voters, "voters", 3, "how many nodes vote in Raft: 1, 3 or 5; the others learn")
	flags.IntVar(&n.Replicas, "replicas", 3, "copies of every blob; counts when the cluster is formed")
	flags.IntVar(&n.MinReplicas, "min-replicas", 0, "copies on disk before fsync returns, or as many as there are nodes; counts when the cluster is formed (default: a majority of --replicas)")
	flags.DurationVar(&n.SessionTimeout, "session-timeout", 10*time.Second, "a mount not heard of for so long is fenced; counts when the cluster is formed")
	flags.DurationVar(&n.GarbageGrace, "garbage-grace", 30*time.Second, "how long the bytes of removed files are kept for readers that are still at them")
	flags.DurationVar(&n.SweepInterval, "sweep-interval", 30*time.Second, "how often this node looks for staged data whose transaction is over")
	flags.Var(&n.Reserve, "reserve", "disk space that blobs never take (default: 5% of the disk, at least 1GiB where it is large enough)")
	flags.Var(&n.MaxBytes, "max-bytes", "space that blobs may take at most (default: the disk)")
	flags.StringVar(&n.Placement, "placement", "weighted", "who gets the copies that repair makes: random, round-robin, weighted or p2c")
	flags.BoolVar(&n.Insecure, "insecure", false, "allow unencrypted, unauthenticated traffic beyond loopback")
	n.TLS.register(flags)
	flags.StringVar(&n.GossipKey, "gossip-key", "", "file of the key that all nodes share, made by \"dfs ca init\" (default: gossip.key in --tls-dir)")
	n.REST.register(flags)
	n.Trace.register(flags)
	n.Log.register(flags)
}

// DefaultDir is the service's under systemd, the system's place for root and the user's for others.
func DefaultDir() string {
	if d, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); d != "" { // StateDirectory= in the unit
		return d
	}
	if os.Geteuid() == 0 {
		return "/var/lib/dfs"
	}
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "dfs")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "dfs")
	}
	return "dfs-data"
}

// Validate checks what can be checked without touching the machine, and fills in the defaults that depend on others.
func (n *Node) Validate() error {
	if err := n.validateToken(); err != nil {
		return err
	}
	if n.BootstrapExpect == 0 && n.Join == "" {
		if n.File != "" { // a package's file, not filled in yet, must not make a cluster that nobody wanted
			return fmt.Errorf("%w: with --config (%s) say what the node belongs to: join, with bootstrap-expect for a new cluster; or bootstrap-expect: 1 for a cluster of one", ErrUsage, n.File)
		}
		n.BootstrapExpect = 1
	}
	switch {
	case n.Dir == "":
		return fmt.Errorf("%w: --dir must not be empty", ErrUsage)
	case n.BootstrapExpect < 0 || n.BootstrapExpect > 9:
		return fmt.Errorf("%w: --bootstrap-expect %d: want 1 to 9 (further nodes join later), or 0 to join only", ErrUsage, n.BootstrapExpect)
	case n.BootstrapExpect > 1 && n.Join == "":
		return fmt.Errorf("%w: --bootstrap-expect %d needs --join with the addresses of the others", ErrUsage, n.BootstrapExpect)
	case n.Voters != 1 && n.Voters != 3 && n.Voters != 5:
		return fmt.Errorf("%w: --voters %d: want 1, 3 or 5", ErrUsage, n.Voters)
	case n.Replicas < 1 || n.Replicas > 9:
		return fmt.Errorf("%w: --replicas %d: want 1 to 9", ErrUsage, n.Replicas)
	case n.MinReplicas < 0 || n.MinReplicas > n.Replicas:
		return fmt.Errorf("%w: --min-replicas %d: want 1 to --replicas (%d)", ErrUsage, n.MinReplicas, n.Replicas)
	case n.SessionTimeout < time.Second || n.SessionTimeout > time.Hour:
		return fmt.Errorf("%w: --session-timeout %s: want 1s to 1h", ErrUsage, n.SessionTimeout)
	case n.GarbageGrace < 0 || n.GarbageGrace > 24*time.Hour:
		return fmt.Errorf("%w: --garbage-grace %s: want 0s to 24h", ErrUsage, n.GarbageGrace)
	case n.SweepInterval < 100*time.Millisecond || n.SweepInterval > time.Hour:
		return fmt.Errorf("%w: --sweep-interval %s: want 100ms to 1h", ErrUsage, n.SweepInterval)
	}
	if n.MinReplicas == 0 {
		n.MinReplicas = n.Replicas/2 + 1
	}
	if err := n.validateTLS(); err != nil {
		return err
	}
	if err := policy("--placement", n.Placement); err != nil {
		return err
	}
	if err := n.Trace.validate(); err != nil {
		return err
	}
	return n.Log.Validate()
}

// validateToken also finds the directory that the token fills.
func (n *Node) validateToken() error {
	switch {
	case n.JoinToken == "" && n.Enrol == "":
		return nil
	case n.JoinToken == "":
		return fmt.Errorf("%w: --enrol needs --join-token", ErrUsage)
	case n.Join == "":
		return fmt.Errorf("%w: --join-token needs the addresses of nodes to join", ErrUsage)
	case n.BootstrapExpect > 0:
		return fmt.Errorf("%w: --join-token is for a node that joins, --bootstrap-expect for those that form a cluster", ErrUsage)
	case n.TLS.CA != "" || n.TLS.Cert != "" || n.TLS.Key != "":
		return fmt.Errorf("%w: --join-token fills --tls-dir, and excludes --tls-ca, --tls-cert and --tls-key", ErrUsage)
	}
	if n.TLS.Dir == "" {
		n.TLS.Dir = filepath.Join(n.Dir, "tls")
	}
	return nil
}

// validateTLS also finds the gossip key: what goes over TLS otherwise does not go in the clear there.
func (n *Node) validateTLS() error {
	if err := n.TLS.validate(n.Insecure); err != nil {
		return err
	}
	if n.GossipKey == "" && n.TLS.Dir != "" {
		n.GossipKey = filepath.Join(n.TLS.Dir, pki.GossipKeyFile)
	}
	if n.TLS.Wanted() && n.GossipKey == "" {
		return fmt.Errorf("%w: TLS without --tls-dir needs --gossip-key too", ErrUsage)
	}
	return nil
}
