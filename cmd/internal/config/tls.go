package config

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/pflag"

	"dfs/cluster/pki"
)

// TLS says where a program's certificate lies.
type TLS struct {
	Dir  string // as "dfs ca issue" makes it
	CA   string // each of these overrides what lies in Dir
	Cert string
	Key  string
}

func (t *TLS) register(flags *pflag.FlagSet) {
	flags.StringVar(&t.Dir, "tls-dir", "", "speak TLS with the files in this directory, made by \"dfs ca issue\"")
	flags.StringVar(&t.CA, "tls-ca", "", "certificate of the authority, PEM (default: ca.crt in --tls-dir)")
	flags.StringVar(&t.Cert, "tls-cert", "", "this machine's certificate, PEM (default: the one in --tls-dir)")
	flags.StringVar(&t.Key, "tls-key", "", "its key, PEM (default: the one in --tls-dir)")
}

// Wanted reports whether any of it was said.
func (t *TLS) Wanted() bool { return *t != TLS{} }

func (t *TLS) validate(insecure bool) error {
	switch {
	case !t.Wanted():
		return nil
	case insecure:
		return fmt.Errorf("%w: --insecure and TLS exclude each other", ErrUsage)
	case t.Dir == "" && (t.CA == "" || t.Cert == "" || t.Key == ""):
		return fmt.Errorf("%w: TLS needs --tls-dir, or all of --tls-ca, --tls-cert and --tls-key", ErrUsage)
	case (t.Cert == "") != (t.Key == ""):
		return fmt.Errorf("%w: --tls-cert and --tls-key go together", ErrUsage)
	}
	return nil
}

// Open reads the files, for a program of the given role; nil if no TLS is wanted. Close what it returns.
func (t *TLS) Open(role pki.Role, log *slog.Logger) (*pki.Credentials, error) {
	if !t.Wanted() {
		return nil, nil
	}
	files := pki.Files{CA: t.CA, Cert: t.Cert, Key: t.Key}
	if files.Cert == "" {
		found, err := pki.FilesIn(t.Dir, role)
		if err != nil {
			return nil, err
		}
		files.Cert, files.Key = found.Cert, found.Key
	}
	if files.CA == "" {
		files.CA = filepath.Join(t.Dir, pki.CACertFile)
	}
	return pki.Open(files, role, log)
}
