package config

import (
	"fmt"

	"github.com/spf13/pflag"

	"dfs/fs/rest"
	"dfs/fs/vfs"
)

// REST is what dfsnode can be told of its HTTP front.
type REST struct {
	TokenFile string
	MaxBytes  Bytes // 0: no limit
	UID, GID  uint32
}

func (r *REST) register(flags *pflag.FlagSet) {
	flags.StringVar(&r.TokenFile, "rest-token-file", "", "file of bearer tokens, one a line, one of which opens /v1/fs/; read again when it changes (wanted beyond loopback, unless --insecure)")
	flags.Var(&r.MaxBytes, "rest-max-bytes", "largest file that /v1/fs/ takes (default: any)")
	flags.Uint32Var(&r.UID, "rest-uid", 0, "owner of the files that are made through /v1/fs/")
	flags.Uint32Var(&r.GID, "rest-gid", 0, "group of the files that are made through /v1/fs/")
}

func (r *REST) tokens() (*rest.Tokens, error) {
	if r.TokenFile == "" {
		return nil, nil
	}
	t, err := rest.ReadTokens(r.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("%w: --rest-token-file: %v", ErrUsage, err)
	}
	return t, nil
}

// Front is the configuration of the front; what is not an option is left to the caller.
func (r *REST) Front() (rest.Config, error) {
	t, err := r.tokens()
	return rest.Config{Tokens: t, MaxBytes: int64(r.MaxBytes), Owner: vfs.Caller{UID: r.UID, GID: r.GID}}, err
}
