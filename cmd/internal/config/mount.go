package config

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"dfs/fs"
)

// Mount is what dfsmount can be told.
type Mount struct {
	File string // --config

	Hosts string // first argument; empty: this machine
	Dir   string // last argument

	Options        []string // -o, fstab style
	Foreground     bool
	LogFile        string
	PIDFile        string
	Metrics        string
	WritePolicy    string
	ReadPolicy     string
	Zone           string
	Subtree        string
	ReadOnly       bool
	DirtyMax       Bytes
	FlushAge       time.Duration
	ConnectTimeout time.Duration
	OpTimeout      time.Duration
	Insecure       bool
	TLS            TLS
	JoinToken      string // or @FILE
	Debug          bool
	Inotify        bool

	Trace Trace
	Log   Log
}

// Register declares the flags of m.
func (m *Mount) Register(flags *pflag.FlagSet) {
	flags.StringVar(&m.File, "config", "", "YAML file of options, one \"option: value\" a line")
	flags.StringSliceVarP(&m.Options, "options", "o", nil, "mount options as in fstab: ro, allow_other, …")
	flags.BoolVarP(&m.Foreground, "foreground", "f", false, "stay in the foreground, log to standard error")
	flags.StringVar(&m.LogFile, "log-file", "", "log here (default in the background: under /var/log/dfs for root, ~/.local/state/dfs for others)")
	flags.StringVar(&m.PIDFile, "pid-file", "", "write the process id here, and remove it at exit")
	flags.StringVar(&m.Metrics, "metrics", "", "address of Prometheus /metrics, /livez and /readyz, host 127.0.0.1 if left out (default: none)")
	flags.StringVar(&m.WritePolicy, "write-policy", "weighted", "who gets new blobs: random, round-robin, weighted or p2c")
	flags.StringVar(&m.ReadPolicy, "read-policy", "p2c", "which replica is read: random, round-robin, weighted or p2c")
	flags.StringVar(&m.Zone, "zone", "", "failure domain of this machine; replicas in it are read first")
	flags.StringVar(&m.Subtree, "subtree", "", "mount this directory, a path from the root of the cluster's tree (default: what the certificate is bound to, or the root)")
	flags.BoolVar(&m.ReadOnly, "read-only", false, "change nothing, and have the cluster see to it")
	m.DirtyMax = 64 << 20
	flags.Var(&m.DirtyMax, "dirty-max", "file data held in memory, not yet flushed, at most")
	flags.DurationVar(&m.FlushAge, "flush-age", time.Second, "file data is flushed when it is this old")
	flags.DurationVar(&m.ConnectTimeout, "connect-timeout", 10*time.Second, "give up mounting when no cluster answers for so long")
	flags.DurationVar(&m.OpTimeout, "op-timeout", 30*time.Second, "a system call fails (\"No route to host\") when the cluster does not answer for so long")
	flags.BoolVar(&m.Insecure, "insecure", false, "allow unencrypted, unauthenticated traffic beyond loopback")
	m.TLS.register(flags)
	flags.StringVar(&m.JoinToken, "join-token", "", "token made by \"dfs join-token --role mount\", or @FILE with one: gets a new machine its certificate, into --tls-dir; ignored once that is there")
	flags.BoolVar(&m.Debug, "debug-fuse", false, "log every FUSE request")
	flags.BoolVar(&m.Inotify, "inotify", false, "tell programs that watch files by inotify(7) what other mounts change; only root can, and not on a read-only mount")
	m.Trace.register(flags)
	m.Log.register(flags)
}

// Validate checks what can be checked without touching the machine.
func (m *Mount) Validate() error {
	switch {
	case m.Dir == "":
		return fmt.Errorf("%w: no mount point given", ErrUsage)
	case m.DirtyMax < 2*fs.BlobMax:
		return fmt.Errorf("%w: --dirty-max %s: want at least 8MiB", ErrUsage, &m.DirtyMax)
	case m.FlushAge <= 0 || m.FlushAge > time.Minute:
		return fmt.Errorf("%w: --flush-age %s: want up to 1m", ErrUsage, m.FlushAge)
	case m.ConnectTimeout <= 0:
		return fmt.Errorf("%w: --connect-timeout %s: want more than 0s", ErrUsage, m.ConnectTimeout)
	case m.OpTimeout < time.Second:
		return fmt.Errorf("%w: --op-timeout %s: want at least 1s", ErrUsage, m.OpTimeout)
	}
	if m.JoinToken != "" && (m.TLS.Dir == "" || m.TLS.CA != "" || m.TLS.Cert != "") {
		return fmt.Errorf("%w: --join-token needs --tls-dir, and nothing else of TLS: the directory to fill", ErrUsage)
	}
	if _, err := fs.ParseSubtree(m.Subtree); err != nil {
		return fmt.Errorf("%w: --subtree: %v", ErrUsage, err)
	}
	if err := m.TLS.validate(m.Insecure); err != nil {
		return err
	}
	if err := policy("--write-policy", m.WritePolicy); err != nil {
		return err
	}
	if err := policy("--read-policy", m.ReadPolicy); err != nil {
		return err
	}
	if err := m.Trace.validate(); err != nil {
		return err
	}
	return m.Log.Validate()
}
