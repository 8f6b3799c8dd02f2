package config

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// Admin is what every dfs subcommand can be told.
type Admin struct {
	File     string // --config
	Addr     string
	Timeout  time.Duration
	Insecure bool
	TLS      TLS
}

// Register declares the flags of a.
func (a *Admin) Register(flags *pflag.FlagSet) {
	flags.StringVar(&a.File, "config", "", "YAML file of options, one \"option: value\" a line")
	flags.StringVar(&a.Addr, "addr", "127.0.0.1:7400", "nodes to ask, comma-separated, the first that answers is taken; default port 7400")
	flags.DurationVar(&a.Timeout, "timeout", 10*time.Second, "give up after so long")
	flags.BoolVar(&a.Insecure, "insecure", false, "allow unencrypted, unauthenticated traffic beyond loopback")
	a.TLS.register(flags)
}

// Validate checks what can be checked without touching the machine.
func (a *Admin) Validate() error {
	if a.Addr == "" {
		return fmt.Errorf("%w: --addr must not be empty", ErrUsage)
	}
	if a.Timeout <= 0 {
		return fmt.Errorf("%w: --timeout %s: want more than 0s", ErrUsage, a.Timeout)
	}
	return a.TLS.validate(a.Insecure)
}
