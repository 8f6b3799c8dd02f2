package httpport

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	cfg.Failed = func(err error) { t.Errorf("serving ended: %v", err) }
	s, err := Serve(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// say sends text and reads until the server ends the connection.
func say(t *testing.T, s *Server, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
}

func TestClientThatSendsNoBody_IsCutOff(t *testing.T) {
	s := serve(t, Config{Timeout: 100 * time.Millisecond, Handler: http.NotFoundHandler()})
	say(t, s, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n") // which ends
}

func TestAddressThatIsNotAdmitted_IsLeft(t *testing.T) {
	refusal, bound := errors.New("not here"), ""
	_, err := Serve(t.Context(), Config{Addr: "127.0.0.1:0", Handler: http.NotFoundHandler(), Admit: func(addr string) error {
		bound = addr
		return refusal
	}})
	if !errors.Is(err, refusal) {
		t.Fatal(err)
	}
	if ln, err := net.Listen("tcp", bound); err != nil {
		t.Errorf("the port is still taken: %v", err)
	} else if err := ln.Close(); err != nil {
		t.Error(err)
	}
}

func TestPlaintextBeyondLoopback_IsRefused(t *testing.T) {
	_, err := Serve(t.Context(), Config{Addr: "0.0.0.0:0", Flag: "--metrics", Handler: http.NotFoundHandler()})
	if err == nil || !strings.Contains(err.Error(), "--metrics") {
		t.Error(err)
	}
}
