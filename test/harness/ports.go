package harness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
)

// Ports are handed out from a range below the kernel's own (32768 and up), so that no outgoing connection takes one
// between its choice and its use, and never twice in one test binary. Test binaries that run side by side start at
// different places.
const (
	portFirst = 10000
	portLast  = 32000
)

var nextPort = struct {
	sync.Mutex
	n int
}{n: portFirst + os.Getpid()*97%(portLast-portFirst)}

// freePorts returns n ports of loopback that are free for TCP and UDP.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	nextPort.Lock()
	defer nextPort.Unlock()
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			t.Fatal("no free ports")
		}
		if nextPort.n++; nextPort.n >= portLast {
			nextPort.n = portFirst
		}
		if isFree(nextPort.n) {
			ports = append(ports, nextPort.n)
		}
	}
	return ports
}

func isFree(port int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	udp, err := net.ListenPacket("udp", addr)
	if err == nil {
		err = udp.Close()
	}
	return errors.Join(err, tcp.Close()) == nil
}
