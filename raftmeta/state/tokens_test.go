package state_test

import (
	"fmt"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

const tokenID = "0123456789abcdef"

func putToken(uses int, expires, now fs.Time) *command.PutToken {
	return &command.PutToken{Token: fs.JoinToken{ID: tokenID, Role: "node", Expires: expires, Uses: uses}, Secret: fs.TokenHash{1}, Now: now}
}

func redeem(key byte, now fs.Time) *command.RedeemToken {
	return &command.RedeemToken{Redemption: fs.Redemption{ID: tokenID, Secret: fs.TokenHash{1}, Role: "node", Key: fs.TokenHash{key}}, Now: now}
}

func TestToken_HasItsUsesAndNoMore(t *testing.T) {
	c := newCluster(t)
	c.do(putToken(2, 100, 1))
	c.do(putToken(2, 100, 1)) // a repeated command
	c.do(redeem(1, 2))
	c.do(redeem(1, 3)) // the same machine asks again
	c.do(putToken(2, 100, 4))
	c.do(redeem(2, 5))
	if a := c.send(redeem(3, 6)); a.Err != fs.CodeQuota {
		t.Errorf("a third machine: %+v", a)
	}
	c.do(redeem(1, 7)) // also when it is used up
	if list, err := c.view().Tokens(); err != nil || len(list) != 1 || list[0].Uses != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestToken_IsForWhoKnowsTheSecretAndUntilItsEnd(t *testing.T) {
	c := newCluster(t)
	c.do(putToken(1, 100, 1))
	guess, role := redeem(1, 2), redeem(1, 2)
	guess.Secret[31]++
	role.Role = "mount"
	for what, m := range map[string]*command.RedeemToken{"another secret": guess, "another role": role} {
		if a := c.send(m); a.Err != fs.CodePermission {
			t.Errorf("%s: %+v", what, a)
		}
	}
	if a := c.send(redeem(1, 100)); a.Err != fs.CodeNotExist {
		t.Errorf("at its end: %+v", a)
	}
	c.do(redeem(1, 99)) // nothing of that has taken the use
	c.do(&command.RevokeToken{ID: tokenID})
	for _, m := range []command.Command{redeem(1, 99), &command.RevokeToken{ID: tokenID}} {
		if a := c.send(m); a.Err != fs.CodeNotExist {
			t.Errorf("%T of a revoked one: %+v", m, a)
		}
	}
}

func TestTokens_AreBoundedAndExpiredOnesMakeRoom(t *testing.T) {
	c := newCluster(t)
	put := func(n int, expires, now fs.Time) fs.Code {
		m := putToken(1, expires, now)
		m.Token.ID = fmt.Sprintf("%016d", n)
		return c.send(m).Err
	}
	for n := range fs.TokensMax {
		if code := put(n, 100, 1); code != fs.CodeOK {
			t.Fatalf("token %d: %v", n, code)
		}
	}
	if code := put(fs.TokensMax, 200, 99); code != fs.CodeBusy {
		t.Errorf("one too many: %v", fs.FromCode(code))
	}
	if code := put(fs.TokensMax, 200, 100); code != fs.CodeOK {
		t.Errorf("when the others have expired: %v", fs.FromCode(code))
	}
	if list, err := c.view().Tokens(); err != nil || len(list) != 1 {
		t.Errorf("%d are left, %v", len(list), err)
	}
}

func TestPutToken_RefusesNonsense(t *testing.T) {
	c := newCluster(t)
	for name, change := range map[string]func(*command.PutToken){
		"short id": func(m *command.PutToken) { m.Token.ID = "x" },
		"no role":  func(m *command.PutToken) { m.Token.Role = "" },
		"no use":   func(m *command.PutToken) { m.Token.Uses = 0 },
		"many":     func(m *command.PutToken) { m.Token.Uses = fs.TokenUsesMax + 1 },
		"over":     func(m *command.PutToken) { m.Token.Expires = m.Now },
		"for ever": func(m *command.PutToken) { m.Token.Expires = m.Now + fs.TokenLifeMax + 1 },
	} {
		m := putToken(1, 100, 1)
		change(m)
		if a := c.send(m); a.Err != fs.CodeInvalid {
			t.Errorf("%s: %+v", name, a)
		}
	}
	c.do(putToken(1, 100, 1))
	for name, change := range map[string]func(*command.PutToken){
		"secret": func(m *command.PutToken) { m.Secret[0]++ },
		"uses":   func(m *command.PutToken) { m.Token.Uses++ },
		"end":    func(m *command.PutToken) { m.Token.Expires++ },
	} {
		m := putToken(1, 100, 1)
		change(m)
		if a := c.send(m); a.Err != fs.CodeExist {
			t.Errorf("another %s: %+v", name, a)
		}
	}
}
