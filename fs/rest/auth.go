package rest

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"strings"

	"dfs/fs"
)

// Tokens are the bearer tokens that open the front.
type Tokens struct{ sums [][sha256.Size]byte }

// Bounds of a token file.
const (
	tokenMin  = 16 // bytes: shorter ones can be guessed
	tokenMax  = 4096
	tokensMax = 1024
)

// ReadTokens reads a file of tokens, one a line; empty lines and those that start with # are skipped.
func ReadTokens(name string) (*Tokens, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	defer f.Close() // nothing is written to it
	t := &Tokens{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		token := strings.TrimSpace(lines.Text())
		if token == "" || strings.HasPrefix(token, "#") {
			continue
		}
		if len(token) < tokenMin || len(token) > tokenMax || strings.ContainsAny(token, " \t") {
			return nil, fmt.Errorf("tokens: %s, line %d: want one token of %d to %d characters, without blanks: %w", name, n, tokenMin, tokenMax, fs.ErrInvalid)
		}
		t.sums = append(t.sums, sha256.Sum256([]byte(token)))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", name, err)
	}
	if len(t.sums) == 0 || len(t.sums) > tokensMax {
		return nil, fmt.Errorf("tokens: %s has %d tokens, 1 to %d are wanted: %w", name, len(t.sums), tokensMax, fs.ErrInvalid)
	}
	return t, nil
}

// check asks for one of the tokens; no Tokens ask for none.
func (t *Tokens) check(r *http.Request) error {
	if t == nil {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return unauthorized(`Bearer realm="dfs"`, "a bearer token is wanted")
	}
	if !t.has(strings.TrimSpace(token)) {
		return unauthorized(`Bearer realm="dfs", error="invalid_token"`, "the bearer token is not known here")
	}
	return nil
}

// has compares hashes with all of them, in a time that tells nothing of how much of a token was right.
func (t *Tokens) has(token string) bool {
	sum, found := sha256.Sum256([]byte(token)), 0
	for i := range t.sums {
		found |= subtle.ConstantTimeCompare(sum[:], t.sums[i][:])
	}
	return found == 1
}

func unauthorized(challenge, message string) error {
	e := newError(http.StatusUnauthorized, "unauthorized", message)
	e.header = http.Header{"Www-Authenticate": {challenge}}
	return e
}
