package service

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// patient is a node whose probe does what a test says.
type patient struct {
	mu    sync.Mutex
	probe func(context.Context) error
	count int
}

func (p *patient) Probe(ctx context.Context) error {
	p.mu.Lock()
	p.count++
	probe := p.probe
	p.mu.Unlock()
	return probe(ctx)
}

func (p *patient) probes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *patient) become(probe func(context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probe = probe
}

func (p *patient) Describe(context.Context) string { return "fine" }

func well(context.Context) error { return nil }

// heard are the states that a manager has received.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) notify(state string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, strings.Split(state, "\n")...)
	return nil
}

func (h *heard) states() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

func (h *heard) count(state string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.all {
		if strings.HasPrefix(s, state) {
			n++
		}
	}
	return n
}

// managed runs a manager over p in fake time, and test beside it.
func managed(t *testing.T, patience time.Duration, p *patient, test func(h *heard)) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{}
		m := &Manager{notify: h.notify, patience: patience, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Run(ctx, p)
		}()
		synctest.Wait()
		test(h)
		cancel()
		<-done
	})
}

func TestLivingNode_IsReadyAndBeatsThriceInThePatience(t *testing.T) {
	managed(t, 9*time.Second, &patient{probe: well}, func(h *heard) {
		if h.states()[0] != "READY=1" || h.count("WATCHDOG=1") != 1 {
			t.Errorf("at once: %q", h.states())
		}
		time.Sleep(30*time.Second + time.Millisecond)
		synctest.Wait()
		if n := h.count("WATCHDOG=1"); n != 11 {
			t.Errorf("%d beats in 30 s, want 11", n)
		}
		if n := h.count("STATUS=fine"); n != 1 {
			t.Errorf("an unchanged status was told %d times", n)
		}
	})
}

func TestLongPatience_StillGetsABeatEveryTenSeconds(t *testing.T) {
	managed(t, time.Hour, &patient{probe: well}, func(h *heard) {
		time.Sleep(time.Minute + time.Millisecond)
		synctest.Wait()
		if n := h.count("WATCHDOG=1"); n != 7 {
			t.Errorf("%d beats in a minute, want 7", n)
		}
	})
}

func TestHangingProbe_MeansNoBeatAndNoSecondProbe(t *testing.T) {
	p := &patient{probe: well}
	managed(t, 9*time.Second, p, func(h *heard) {
		release := make(chan struct{})
		p.become(func(context.Context) error { <-release; return nil })
		time.Sleep(4 * time.Second)
		before, probes := h.count("WATCHDOG=1"), p.probes()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := h.count("WATCHDOG=1"); n != before {
			t.Errorf("%d beats while the probe hung", n-before)
		}
		if n := p.probes(); n != probes {
			t.Errorf("%d further probes were started", n-probes)
		}
		if h.count("STATUS=hangs") == 0 {
			t.Error("the status does not say so")
		}
		p.become(well)
		close(release)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := h.count("WATCHDOG=1"); n < before+3 {
			t.Error("no beats after the probe came back")
		}
	})
}

func TestProbeThatHangsAtTheEnd_DoesNotHoldUpRun(t *testing.T) {
	p := &patient{}
	p.probe = func(context.Context) error {
		time.Sleep(time.Minute)
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		m := &Manager{notify: (&heard{}).notify, patience: 9 * time.Second, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		m.Run(ctx, p)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("Run went on for %s", took)
		}
		time.Sleep(time.Minute) // the probe comes back, to nobody
	})
}

func TestFailingProbe_IsNoBeatAndIsSaid(t *testing.T) {
	p := &patient{probe: func(context.Context) error { return errors.New("ouch") }}
	managed(t, 9*time.Second, p, func(h *heard) {
		time.Sleep(time.Minute)
		synctest.Wait()
		if h.count("WATCHDOG=1") != 0 || !slices.Contains(h.states(), "STATUS=probe failed: ouch") {
			t.Errorf("%q", h.states())
		}
	})
}

func TestNoWatchdog_MeansStatusWithoutProbes(t *testing.T) {
	p := &patient{probe: well}
	managed(t, 0, p, func(h *heard) {
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.probes() != 0 || h.count("WATCHDOG=1") != 0 || h.count("STATUS=fine") != 1 {
			t.Errorf("%d probes, %q", p.probes(), h.states())
		}
	})
}

func TestNoManager_IsToldNothing(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	m, err := New(slog.New(slog.DiscardHandler))
	if err != nil || m.patience != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := m.notify("READY=1"); err != nil {
		t.Error(err)
	}
}
