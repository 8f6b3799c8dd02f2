package fs

import "context"

// Bounds of join tokens.
const (
	TokensMax     = 256                    // that are outstanding
	TokenUsesMax  = 100                    // of one
	TokenLifeMax  = Time(30 * 24 * 3600e9) // nanoseconds
	TokenIDBytes  = 16                     // of a JoinToken's id
	TokenWordMax  = 64                     // bytes of a role
	TokenHashSize = 32                     // bytes of a TokenHash
)

// TokenHash is a SHA-256.
type TokenHash [TokenHashSize]byte

// JoinToken is what is known of a token that lets new machines into the cluster. Its secret is known to its bearer only.
type JoinToken struct {
	ID      string // TokenIDBytes long
	Role    string // of the certificates that it is good for
	Expires Time
	Uses    int // left
}

// Redemption asks for one use of a token.
type Redemption struct {
	ID     string
	Secret TokenHash // of the secret
	Role   string
	Key    TokenHash // of the name and the public key of the machine that the use is for
}

// JoinTokens are the tokens of a cluster, kept at the leader.
type JoinTokens interface {
	// PutToken records a token; the same one again changes nothing. ErrExist: the id is another token's. ErrBusy: too many
	// are outstanding.
	PutToken(ctx context.Context, t JoinToken, secret TokenHash) error
	// Tokens lists those that have not expired, used up ones too.
	Tokens(ctx context.Context) ([]JoinToken, error)
	// RevokeToken removes a token. ErrNotExist if there is none.
	RevokeToken(ctx context.Context, id string) error
	// RedeemToken takes one use of a token; again with the same key it takes none. ErrNotExist: there is no such token, or it
	// has expired. ErrPermission: another secret or role. ErrQuota: it is used up.
	RedeemToken(ctx context.Context, r Redemption) error
}
