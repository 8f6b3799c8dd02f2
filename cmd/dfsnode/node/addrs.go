package node

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"dfs/cluster"
	"dfs/cmd/internal/config"
)

// off is what the user says instead of an address to have no such server.
const off = "off"

// addresses are the options' addresses with the defaults filled in, as host:port.
type addresses struct {
	rpc, gossip, http, metrics string
	advertise, advertiseGossip string // empty: as listened on
	join                       []string
}

// loopback is the host of metrics unless the user says another: they are for nobody but the machine's own operators.
const loopback = "127.0.0.1"

// resolveAddresses fills in what the user left out: the host of everything but metrics is that of --listen, and that is
// loopback unless --join leads elsewhere.
func resolveAddresses(ctx context.Context, o *config.Node) (*addresses, error) {
	join, err := cluster.ParseAddrs(o.Join, cluster.PortGossip)
	if err != nil {
		return nil, fmt.Errorf("%w: --join: %v", config.ErrUsage, err)
	}
	host := ""
	a := &addresses{join: join}
	if o.Listen == "" {
		if host, err = cluster.AdvertiseFor(ctx, join, ""); err != nil {
			return nil, err
		}
		a.rpc = net.JoinHostPort(host, strconv.Itoa(cluster.PortRPC))
	} else if a.rpc, host, err = listenAddr("--listen", o.Listen, "", cluster.PortRPC); err != nil {
		return nil, err
	}
	for _, other := range []struct {
		flag, value, host string
		port              int
		to                *string
	}{
		{"--gossip", o.Gossip, host, cluster.PortGossip, &a.gossip},
		{"--http", o.HTTP, host, cluster.PortHTTP, &a.http},
		{"--metrics", o.Metrics, loopback, cluster.PortMetrics, &a.metrics},
	} {
		if *other.to, _, err = listenAddr(other.flag, other.value, other.host, other.port); err != nil {
			return nil, err
		}
	}
	return a, a.setAdvertised(ctx, o.Advertise, host)
}

// listenAddr gives value a host and a port where it has none. A bare port such as ":7410" keeps the default host.
func listenAddr(flag, value, host string, port int) (addr, itsHost string, err error) {
	if value == off && flag != "--listen" && flag != "--gossip" {
		return "", "", nil
	}
	if value == "" {
		return net.JoinHostPort(host, strconv.Itoa(port)), host, nil
	}
	h, p, err := net.SplitHostPort(value)
	if err != nil { // no port
		h, p = value, strconv.Itoa(port)
		if ip := net.ParseIP(value); ip == nil && !isHostName(value) {
			return "", "", fmt.Errorf("%w: %s %q: want HOST:PORT", config.ErrUsage, flag, value)
		}
	}
	if n, err := strconv.ParseUint(p, 10, 16); err != nil {
		return "", "", fmt.Errorf("%w: %s %q: the port %q is not a number from 0 to 65535", config.ErrUsage, flag, value, p)
	} else if p = strconv.FormatUint(n, 10); h == "" {
		h = host
	}
	if h == "" {
		h = loopback
	}
	return net.JoinHostPort(h, p), h, nil
}

func isHostName(s string) bool {
	addrs, err := cluster.ParseAddrs(s, cluster.PortRPC)
	return err == nil && len(addrs) == 1
}

// setAdvertised decides what others are told: --advertise, else the host listened on, else, when that is "all
// interfaces", the one that leads to the others.
func (a *addresses) setAdvertised(ctx context.Context, advertise, host string) error {
	if advertise == "" {
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			return nil
		}
		var err error
		if advertise, err = cluster.AdvertiseFor(ctx, a.join, host); err != nil {
			return err
		}
	}
	h, p, err := net.SplitHostPort(advertise)
	if err != nil {
		h = advertise
		if _, p, err = net.SplitHostPort(a.rpc); err != nil {
			return err
		}
	}
	_, gossipPort, err := net.SplitHostPort(a.gossip)
	if err != nil {
		return err
	}
	a.advertise, a.advertiseGossip = net.JoinHostPort(h, p), net.JoinHostPort(h, gossipPort)
	return nil
}
