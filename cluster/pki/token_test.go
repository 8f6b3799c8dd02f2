package pki

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"

	"dfs/fs"
)

func newToken(t testing.TB, c *Credentials, role Role) Token {
	t.Helper()
	token, err := c.NewToken(role)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestToken_IsReadAsItWasWritten(t *testing.T) {
	c := open(t, issue(t, authorityIn(t), Request{Role: RoleAdmin, Name: "x"}), RoleAdmin, nil)
	for _, role := range []Role{RoleNode, RoleMount} {
		want := newToken(t, c, role)
		for _, text := range []string{want.Text(), strings.ToUpper(want.Text()), " " + want.Text() + "\n"} {
			if got, err := ParseToken(text); got != want || err != nil {
				t.Errorf("%v, %v; want %v", got, err, want)
			}
		}
	}
	if _, err := c.NewToken(RoleAdmin); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("for an admin: %v", err)
	}
}

func TestToken_ShowsNoSecretUnlessAsked(t *testing.T) {
	c := open(t, issue(t, authorityIn(t), Request{Role: RoleAdmin, Name: "x"}), RoleAdmin, nil)
	token := newToken(t, c, RoleNode)
	text := token.Text()
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s %q", token, token, token, token, token), fmt.Sprint(&token)} {
		if !strings.Contains(shown, token.ID) || strings.Contains(shown, text[len(text)-30:]) || strings.Contains(shown, fmt.Sprintf("%x", token.Secret())) ||
			strings.Contains(shown, fmt.Sprint(token.Secret()[:5])[1:10]) {
			t.Errorf("shown as %s", shown)
		}
	}
	if _, err := ParseToken(text[:len(text)-1]); err == nil || strings.Contains(err.Error(), text[10:30]) {
		t.Errorf("a damaged one: %v", err)
	}
}

func TestToken_TypingErrorsAreNoticed(t *testing.T) {
	text := newToken(t, open(t, issue(t, authorityIn(t), Request{Role: RoleAdmin, Name: "x"}), RoleAdmin, nil), RoleNode).Text()
	for i := range text {
		for _, c := range []string{"a", "2", "\n", "1", ""} {
			typed := text[:i] + c + text[i+1:]
			if _, err := ParseToken(typed); typed != text && !errors.Is(err, fs.ErrInvalid) && strings.TrimSpace(typed) != text {
				t.Errorf("%q at %d: %v", c, i, err)
			}
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(Token{Role: RoleMount, ID: "0123456789abcdef"}.Text())
	f.Add(Token{Role: RoleNode, ID: "0123456789abcdef"}.Text() + "=")
	f.Add("dfs1.")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if again, err := ParseToken(token.Text()); again != token || err != nil || len(token.ID) != fs.TokenIDBytes {
			t.Errorf("%q is %v, written again %v, %v", text, token, again, err)
		}
	})
}

func TestEnrolling_IsAnswered_ByTheRightClustersNodesOnly(t *testing.T) {
	ca := authorityIn(t)
	node := open(t, issue(t, ca, Request{Role: RoleNode, Name: "n"}), RoleNode, nil)
	root := newToken(t, node, RoleNode).Root
	enrol := func(server *tls.Config) error {
		_, _, err := handshake(t, server, EnrolClient(root))
		return err
	}
	if err := enrol(node.ServerOrEnrol()); err != nil {
		t.Errorf("a node: %v", err)
	}
	mount := open(t, issue(t, ca, Request{Role: RoleMount, Name: "m"}), RoleMount, nil)
	other := open(t, issue(t, authorityIn(t), Request{Role: RoleNode, Name: "n"}), RoleNode, nil)
	// Another cluster's node that shows our root, which everybody may know.
	liar := open(t, issue(t, authorityIn(t), Request{Role: RoleNode, Name: "n"}), RoleNode, nil)
	liar.state.root = node.state.root
	for name, conf := range map[string]*tls.Config{"a mount": mount.ServerOrEnrol(), "another cluster": other.ServerOrEnrol(),
		"a liar": liar.ServerOrEnrol(), "without enrolling": node.Server("http/1.1")} {
		if err := enrol(conf); err == nil {
			t.Errorf("%s is taken for our cluster", name)
		}
	}
}

// The certificate is left out for enrolling only: whoever asks for anything else, or for something else too, is asked for one.
func TestServerOrEnrol_DemandsACertificateForEverythingElse(t *testing.T) {
	ca := authorityIn(t)
	node := open(t, issue(t, ca, Request{Role: RoleNode, Name: "n"}), RoleNode, nil)
	for _, protocols := range [][]string{nil, {"h2"}, {enrolALPN, "h2"}, {"h2", enrolALPN}, {enrolALPN, enrolALPN}} {
		conf := &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}
		if _, err, _ := handshake(t, node.ServerOrEnrol(), conf); err == nil {
			t.Errorf("%q: no certificate was asked for", protocols)
		}
	}
	mount := open(t, issue(t, ca, Request{Role: RoleMount, Name: "m"}), RoleMount, nil)
	if seen, err, other := handshake(t, node.ServerOrEnrol(), mount.Client()); err != nil || other != nil || seen.Name != "m" {
		t.Errorf("with a certificate: %v, %v", err, other)
	}
}
