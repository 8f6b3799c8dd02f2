package node

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"dfs/cmd/internal/config"
)

func TestAddresses_FollowTheHostOfListen(t *testing.T) {
	for name, c := range map[string]struct {
		o    config.Node
		want addresses
	}{
		"nothing said": {config.Node{}, addresses{rpc: "127.0.0.1:7400", gossip: "127.0.0.1:7401", http: "127.0.0.1:7480", metrics: "127.0.0.1:7490"}},
		"only a port": {config.Node{Listen: ":7500"},
			addresses{rpc: "127.0.0.1:7500", gossip: "127.0.0.1:7401", http: "127.0.0.1:7480", metrics: "127.0.0.1:7490"}},
		"only a host": {config.Node{Listen: "10.0.0.1"},
			addresses{rpc: "10.0.0.1:7400", gossip: "10.0.0.1:7401", http: "10.0.0.1:7480", metrics: "127.0.0.1:7490"}},
		"IPv6": {config.Node{Listen: "[::1]:7500", Gossip: "::1"},
			addresses{rpc: "[::1]:7500", gossip: "[::1]:7401", http: "[::1]:7480", metrics: "127.0.0.1:7490"}},
		"servers off": {config.Node{HTTP: "off", Metrics: "off"}, addresses{rpc: "127.0.0.1:7400", gossip: "127.0.0.1:7401"}},
		"advertised": {config.Node{Listen: "0.0.0.0", Advertise: "a.example"},
			addresses{rpc: "0.0.0.0:7400", gossip: "0.0.0.0:7401", http: "0.0.0.0:7480", metrics: "127.0.0.1:7490",
				advertise: "a.example:7400", advertiseGossip: "a.example:7401"}},
		"advertised with a port": {config.Node{Advertise: "a.example:9000"},
			addresses{rpc: "127.0.0.1:7400", gossip: "127.0.0.1:7401", http: "127.0.0.1:7480", metrics: "127.0.0.1:7490",
				advertise: "a.example:9000", advertiseGossip: "a.example:7401"}},
		"joins on loopback": {config.Node{Join: "127.0.0.1,127.0.0.1:7411"},
			addresses{rpc: "127.0.0.1:7400", gossip: "127.0.0.1:7401", http: "127.0.0.1:7480", metrics: "127.0.0.1:7490",
				join: []string{"127.0.0.1:7401", "127.0.0.1:7411"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := resolveAddresses(t.Context(), &c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got.rpc != c.want.rpc || got.gossip != c.want.gossip || got.http != c.want.http || got.metrics != c.want.metrics ||
				got.advertise != c.want.advertise || got.advertiseGossip != c.want.advertiseGossip || !slices.Equal(got.join, c.want.join) {
				t.Errorf("got  %+v\nwant %+v", *got, c.want)
			}
		})
	}
}

func TestRubbishAddress_IsAUsageErrorThatNamesTheFlag(t *testing.T) {
	for flag, o := range map[string]config.Node{
		"--listen":  {Listen: "127.0.0.1:x"},
		"--gossip":  {Gossip: "127.0.0.1:70000"},
		"--http":    {HTTP: "a b"},
		"--metrics": {Metrics: "1:2:3:4"},
		"--join":    {Join: "a:b:c"},
	} {
		if _, err := resolveAddresses(t.Context(), &o); !errors.Is(err, config.ErrUsage) || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: got %v", flag, err)
		}
	}
}
