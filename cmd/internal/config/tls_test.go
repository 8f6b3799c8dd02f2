package config

import (
	"errors"
	"testing"
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
