package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"dfs/cluster/pki"
)

func TestTLSOptions_GoTogether(t *testing.T) {
	for name, c := range map[string]struct {
		tls       TLS
		insecure  bool
		gossipKey string
		bad       bool
	}{
		"none":               {},
		"plaintext":          {insecure: true},
		"directory":          {tls: TLS{Dir: "d"}},
		"both":               {tls: TLS{Dir: "d"}, insecure: true, bad: true},
		"files":              {tls: TLS{CA: "a", Cert: "c", Key: "k"}, gossipKey: "g"},
		"files, no gossip":   {tls: TLS{CA: "a", Cert: "c", Key: "k"}, bad: true},
		"no authority":       {tls: TLS{Cert: "c", Key: "k"}, gossipKey: "g", bad: true},
		"no key":             {tls: TLS{Dir: "d", Cert: "c"}, bad: true},
		"another in the dir": {tls: TLS{Dir: "d", Cert: "c", Key: "k"}},
	} {
		n := Node{TLS: c.tls, Insecure: c.insecure, GossipKey: c.gossipKey}
		if err := n.validateTLS(); (err != nil) != c.bad || err != nil && !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
		if want := map[bool]string{true: "d/gossip.key"}[c.tls.Dir != "" && !c.insecure && !c.bad]; want != "" && n.GossipKey != want {
			t.Errorf("%s: gossip key %q, want %q", name, n.GossipKey, want)
		}
	}
}

func TestJoinToken_IsForANodeThatJoins(t *testing.T) {
	for name, c := range map[string]struct {
		n    Node
		want string // directory; empty: refused
	}{
		"default":          {Node{Dir: "d", JoinToken: "t", Join: "a"}, "d/tls"},
		"chosen":           {Node{Dir: "d", JoinToken: "t", Join: "a", Enrol: "b", TLS: TLS{Dir: "e"}}, "e"},
		"nobody to join":   {Node{Dir: "d", JoinToken: "t"}, ""},
		"a founder":        {Node{Dir: "d", JoinToken: "t", Join: "a", BootstrapExpect: 3}, ""},
		"enrol alone":      {Node{Dir: "d", Join: "a", Enrol: "b"}, ""},
		"files said":       {Node{Dir: "d", JoinToken: "t", Join: "a", TLS: TLS{CA: "a", Cert: "c", Key: "k"}}, ""},
		"neither, nothing": {Node{Dir: "d", TLS: TLS{Dir: "e"}}, "e"},
	} {
		if err := c.n.validateToken(); (err == nil) != (c.want != "") || err != nil && !errors.Is(err, ErrUsage) || err == nil && c.n.TLS.Dir != c.want {
			t.Errorf("%s: %q, %v", name, c.n.TLS.Dir, err)
		}
	}
}

func TestReadToken_FromTheCommandLineOrAFile(t *testing.T) {
	text := pki.Token{Role: pki.RoleNode, ID: "0123456789abcdef"}.Text()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{text, "@" + path} {
		if got, err := ReadToken(value); err != nil || got.ID != "0123456789abcdef" {
			t.Errorf("%v, %v", got, err)
		}
	}
	for _, value := range []string{"", "x", "@", "@" + path + "x", text + "x"} {
		if _, err := ReadToken(value); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", value, err)
		}
	}
}
