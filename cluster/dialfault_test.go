package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"dfs/fs"
)

func TestDialFault_KeepsFromConnectingThere(t *testing.T) {
	to := listenAt(t)
	cut := errors.New("cut")
	d := NewDialer(DialerConfig{Faults: func(step string) error {
		if step == "dial:"+to {
			return cut
		}
		return fmt.Errorf("unexpected step %q", step)
	}})
	defer d.Close() // nothing was connected
	if _, err := d.dial(context.Background(), ProtocolGRPC, to); !errors.Is(err, cut) || !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func listenAt(t *testing.T) string {
	t.Helper()
	tr, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr.Addr()
}
