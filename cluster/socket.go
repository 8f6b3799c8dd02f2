package cluster

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Dead peers are noticed by the kernel: an idle connection is probed every second, and one whose peer's kernel has
// acknowledged nothing for peerTimeout is broken, idle or not. (gRPC's own pings cannot be more frequent than every
// ten seconds, by its rule.) A peer whose process hangs while its kernel still answers is the business of gossip and of
// deadlines; see Dialer.Break.
const (
	peerTimeout   = 3 * time.Second
	probeInterval = time.Second
)

// raftPeerTimeout is longer: a follower with a slow disk stops reading for a while, its window closes, and the kernel
// counts that as silence. Raft has heartbeats of its own for the rest.
const raftPeerTimeout = 10 * time.Second

func tune(conn *net.TCPConn, proto Protocol) error {
	timeout := peerTimeout
	if proto == ProtocolRaft {
		timeout = raftPeerTimeout
	}
	probes := net.KeepAliveConfig{Enable: true, Idle: probeInterval, Interval: probeInterval, Count: int(timeout / probeInterval)}
	if err := conn.SetKeepAliveConfig(probes); err != nil {
		return fmt.Errorf("set TCP keep-alive: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("set TCP user timeout: %w", err)
	}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		optErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
	})
	if err == nil {
		err = optErr
	}
	if err != nil {
		return fmt.Errorf("set TCP user timeout: %w", err)
	}
	return nil
}
