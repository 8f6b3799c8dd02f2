package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dfs/fs"
)

func TestParseAddrs_ReadsHostsPortsAndV6(t *testing.T) {
	for list, want := range map[string][]string{
		"":                           nil,
		"  ":                         nil,
		"a":                          {"a:7401"},
		"a,b:7500,[::1]":             {"a:7401", "b:7500", "[::1]:7401"},
		" a , b ":                    {"a:7401", "b:7401"},
		"::1,fd00::2,[fd00::2]:9":    {"[::1]:7401", "[fd00::2]:7401", "[fd00::2]:9"},
		"10.0.0.1,10.0.0.1:7401":     {"10.0.0.1:7401"},
		"node-1.example.com:0080":    {"node-1.example.com:80"},
		"[fe80::1%eth0]:1,127.0.0.1": {"[fe80::1%eth0]:1", "127.0.0.1:7401"},
	} {
		got, err := ParseAddrs(list, PortGossip)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v; want %v", list, got, err, want)
		}
	}
}

func TestParseAddrs_RefusesWhatIsNoAddressAndQuotesIt(t *testing.T) {
	for _, list := range []string{",", "a,,b", "a:", ":7401", "a:0", "a:65536", "a:-1", "a:x", "a:1:2", "[::1", "::1]", "[::1]]:1", "[a", "http://a:1", "a b", "a:1,b:y",
		strings.Repeat("h", 254)} {
		got, err := ParseAddrs(list, PortGossip)
		if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), list) {
			t.Errorf("%q: got %v, %v", list, got, err)
		}
	}
	many := "h"
	for i := range joinAddrsMax {
		many += fmt.Sprintf(",h%d", i)
	}
	if _, err := ParseAddrs(many, 1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
}

func TestAdvertiseFor_PicksTheAddressThatOthersReach(t *testing.T) {
	local := localAddress(t)
	for name, c := range map[string]struct {
		join []string
		bind string
		want string
	}{
		"alone":               {nil, "", "127.0.0.1"},
		"on loopback":         {[]string{"127.0.0.1:7401", "localhost:7402"}, "", "127.0.0.1"},
		"told":                {[]string{"192.0.2.77:7401"}, "10.9.9.9", "10.9.9.9"},
		"told loopback":       {nil, "127.0.0.5", "127.0.0.5"},
		"with others":         {[]string{"127.0.0.1:7401", local + ":7401"}, "", local},
		"wildcard":            {[]string{local + ":7401"}, "0.0.0.0", local},
		"one name is unknown": {[]string{"no-such-host.invalid:1", local + ":7401"}, "", local},
	} {
		got, err := AdvertiseFor(t.Context(), c.join, c.bind)
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v; want %s", name, got, err, c.want)
		}
	}
	_, err := AdvertiseFor(t.Context(), []string{"no-such-host.invalid:1"}, "")
	if err == nil || !strings.Contains(err.Error(), "--listen") || !strings.Contains(err.Error(), "no-such-host.invalid") {
		t.Errorf("unknown name: %v", err)
	}
}

// localAddress is a non-loopback address of this machine.
func localAddress(t *testing.T) string {
	t.Helper()
	ip, err := routeTo(context.Background(), "203.0.113.1:9")
	if err != nil || ip.IsLoopback() {
		t.Skipf("this machine has loopback only (%v)", err)
	}
	return ip.String()
}
