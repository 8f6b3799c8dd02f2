package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// Files is what "dfs ls", "dfs cat" and "dfs cp" can be told.
type Files struct {
	HTTP      string
	TokenFile string
}

// Register declares the flags of f.
func (f *Files) Register(flags *pflag.FlagSet) {
	flags.StringVar(&f.HTTP, "http", "127.0.0.1:7480", "HTTP address of a node; default port 7480")
	flags.StringVar(&f.TokenFile, "token-file", "", "file whose first token opens the node's files")
}

// Validate checks what can be checked without touching the machine.
func (f *Files) Validate() error {
	if f.HTTP == "" {
		return fmt.Errorf("%w: --http must not be empty", ErrUsage)
	}
	return nil
}
