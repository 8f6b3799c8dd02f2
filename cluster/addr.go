package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"dfs/fs"
)

// The ports that a node uses unless told otherwise.
const (
	PortRPC     = 7400 // gRPC and Raft
	PortGossip  = 7401 // TCP and UDP
	PortHTTP    = 7480
	PortMetrics = 7490
)

// joinAddrsMax bounds a list of addresses given by a user.
const joinAddrsMax = 256

// ParseAddrs reads a comma-separated list of host, host:port, [v6]:port, [v6] or bare v6 addresses and gives each the
// default port where it has none. Duplicates are dropped, the order is kept; the empty string is the empty list.
// Anything else is fs.ErrInvalid.
func ParseAddrs(list string, defaultPort int) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var addrs []string
	for item := range strings.SplitSeq(list, ",") {
		addr, err := parseAddr(strings.TrimSpace(item), defaultPort)
		if err != nil {
			return nil, fmt.Errorf("address list %q: %w", list, err)
		}
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) > joinAddrsMax {
		return nil, fmt.Errorf("address list has %d addresses, at most %d are allowed: %w", len(addrs), joinAddrsMax, fs.ErrInvalid)
	}
	return addrs, nil
}

func parseAddr(item string, defaultPort int) (string, error) {
	host, port, err := splitAddr(item, defaultPort)
	if err != nil {
		return "", err
	}
	if host == "" {
		return "", fmt.Errorf("address %q has no host: %w", item, fs.ErrInvalid)
	}
	if strings.ContainsAny(host, "/[] \t\"'@") || len(host) > hostMax {
		return "", fmt.Errorf("address %q: %q is no host name: %w", item, host, fs.ErrInvalid)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("address %q: port %q is not between 1 and 65535: %w", item, port, fs.ErrInvalid)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// hostMax is the longest DNS name, RFC 1035.
const hostMax = 253

func splitAddr(item string, defaultPort int) (host, port string, err error) {
	port = strconv.Itoa(defaultPort)
	bare := item
	if strings.HasPrefix(item, "[") && strings.HasSuffix(item, "]") {
		bare = item[1 : len(item)-1]
	}
	if _, err := netip.ParseAddr(bare); err == nil {
		return bare, port, nil
	}
	if !strings.Contains(item, ":") {
		return item, port, nil
	}
	host, port, err = net.SplitHostPort(item)
	if err != nil {
		return "", "", fmt.Errorf("address %q is not HOST or HOST:PORT (%v): %w", item, err, fs.ErrInvalid)
	}
	return host, port, nil
}

// AdvertiseFor chooses the address, without port, that this machine should listen on and tell others. An explicit bind
// host wins. Otherwise it is the local address from which the first reachable join address that is not on this
// machine's loopback would be reached; no packet is sent to learn it. With nothing but loopback it is 127.0.0.1.
// When no join address can be resolved the error says so.
func AdvertiseFor(ctx context.Context, join []string, bind string) (string, error) {
	if bind != "" && !isWildcard(bind) {
		return bind, nil
	}
	var failed error
	for _, addr := range join {
		ip, err := routeTo(ctx, addr)
		if err != nil {
			failed = err
			continue
		}
		if !ip.IsLoopback() {
			return ip.String(), nil
		}
	}
	if failed != nil {
		return "", fmt.Errorf("find the local address that the others can reach; say it with --listen: %w", failed)
	}
	return "127.0.0.1", nil
}

// routeTo asks the kernel which source address it would use: connecting a UDP socket looks up the route and sends
// nothing.
func routeTo(ctx context.Context, addr string) (netip.Addr, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", addr)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("no route to %s: %w", addr, err)
	}
	defer conn.Close() // a UDP socket that nothing was written to has nothing to lose
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("local address towards %s: %w", addr, err)
	}
	return local.Addr().Unmap(), nil
}

func isWildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}
