package pki

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"

	"dfs/fs"
)

// Token lets new machines into a cluster: it says by which root they know it, and holds the secret by which it knows them.
// Printed or logged it shows its id only; Text is the whole of it.
type Token struct {
	Role Role
	Root fs.TokenHash // of the root's certificate, DER
	ID   string       // hexadecimal

	secret [secretBytes]byte
}

const (
	tokenPrefix = "dfs1."
	idBytes     = fs.TokenIDBytes / 2
	secretBytes = 20
	sumBytes    = 4
	rawBytes    = 1 + fs.TokenHashSize + idBytes + secretBytes + sumBytes
)

// tokenRoles are the roles that a token may give, by the byte that stands for them.
var tokenRoles = map[byte]Role{1: RoleNode, 2: RoleMount}

var tokenText = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewToken makes a token for the authority of c, with an id and a secret of its own. An admin is not made by token:
// fs.ErrInvalid.
func (c *Credentials) NewToken(role Role) (Token, error) {
	t := Token{Role: role, Root: sha256.Sum256(c.current().root.Raw), ID: hex.EncodeToString(random(idBytes))}
	copy(t.secret[:], random(secretBytes))
	if t.roleByte() == 0 {
		return Token{}, fmt.Errorf("a join token is for a node or a mount, not for %q: %w", role, fs.ErrInvalid)
	}
	return t, nil
}

func (t Token) roleByte() byte {
	for b, r := range tokenRoles {
		if r == t.Role {
			return b
		}
	}
	return 0
}

// String implements fmt.Stringer, without the secret.
func (t Token) String() string { return "join token " + t.ID }

// GoString implements fmt.GoStringer, likewise.
func (t Token) GoString() string { return t.String() }

// Text is the token as it is handed to the new machine.
func (t Token) Text() string {
	raw := append([]byte{t.roleByte()}, t.Root[:]...)
	id, _ := hex.DecodeString(t.ID) // made by hex.EncodeToString
	raw = append(append(raw, id...), t.secret[:]...)
	sum := sha256.Sum256(raw)
	return tokenPrefix + strings.ToLower(tokenText.EncodeToString(append(raw, sum[:sumBytes]...)))
}

// Secret is what only the token's bearers know.
func (t Token) Secret() []byte { return bytes.Clone(t.secret[:]) }

// HashSecret is what the cluster knows of a secret.
func HashSecret(secret []byte) fs.TokenHash { return sha256.Sum256(secret) }

// ParseToken reads what Text has written; spaces around it and capitals do not matter. The error, fs.ErrInvalid, does not
// repeat it.
func ParseToken(text string) (Token, error) {
	encoded, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(text)), tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("a join token begins with %q: %w", tokenPrefix, fs.ErrInvalid)
	}
	raw, err := tokenText.DecodeString(strings.ToUpper(encoded))
	if err != nil || len(raw) != rawBytes || len(encoded) != tokenText.EncodedLen(rawBytes) {
		return Token{}, fmt.Errorf("the join token is damaged, or cut off: %w", fs.ErrInvalid)
	}
	body, sum := raw[:rawBytes-sumBytes], sha256.Sum256(raw[:rawBytes-sumBytes])
	if !bytes.Equal(raw[rawBytes-sumBytes:], sum[:sumBytes]) {
		return Token{}, fmt.Errorf("the join token has a typing error: %w", fs.ErrInvalid)
	}
	t := Token{Role: tokenRoles[body[0]]}
	if t.Role == "" {
		return Token{}, fmt.Errorf("the join token is for a role that this build does not know: %w", fs.ErrInvalid)
	}
	rest := body[1+copy(t.Root[:], body[1:]):]
	t.ID = hex.EncodeToString(rest[:idBytes])
	copy(t.secret[:], rest[idBytes:])
	return t, nil
}
