package config

import (
	"fmt"
	"io"
	"os"
	"strings"

	"dfs/cluster/pki"
)

// tokenFileMax bounds a file that holds a join token, bytes.
const tokenFileMax = 4 << 10

// ReadToken reads a join token as the user gave it: the token, or @FILE. The errors do not repeat it.
func ReadToken(value string) (pki.Token, error) {
	path, isFile := strings.CutPrefix(value, "@")
	if isFile {
		var err error
		if value, err = readTokenFile(path); err != nil {
			return pki.Token{}, fmt.Errorf("%w: --join-token: %v", ErrUsage, err)
		}
	}
	t, err := pki.ParseToken(value)
	if err != nil {
		return pki.Token{}, fmt.Errorf("%w: --join-token: %v", ErrUsage, err)
	}
	return t, nil
}

func readTokenFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, tokenFileMax))
	return string(data), err
}
