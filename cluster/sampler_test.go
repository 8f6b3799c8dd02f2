package cluster

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSampler_SmoothsCPUAndKeepsTheLastValueOfWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy, fail atomic.Bool
		log := &logBuffer{}
		s := startSampler("/data", log.logger(), gauges{
			cpu: func(context.Context) (float64, error) {
				if busy.Load() {
					return 1, nil
				}
				return 0, nil
			},
			memory: func(context.Context) (float64, error) {
				if fail.Load() {
					return 0, errors.New("no meminfo")
				}
				return 0.5, nil
			},
			disk: func(_ context.Context, dir string) (uint64, uint64, error) {
				if dir != "/data" {
					t.Errorf("asked for %s", dir)
				}
				return 100, 40, nil
			},
		})
		defer s.Close()
		synctest.Wait()
		if l := s.Load(); l.CPU != 0 || l.Memory != 0.5 || l.DiskTotalBytes != 100 || l.DiskFreeBytes != 40 {
			t.Errorf("first sample: %+v", l)
		}
		busy.Store(true)
		fail.Store(true)
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if l := s.Load(); math.Abs(l.CPU-0.51) > 1e-9 || l.Memory != 0.5 {
			t.Errorf("after two busy seconds: %+v, want CPU 0.51", l)
		}
		if !log.contains("no meminfo") {
			t.Error("the failure is not logged")
		}
	})
}

func TestSampler_MeasuresThisMachine(t *testing.T) {
	s := StartSampler(t.TempDir(), testLog(t))
	defer s.Close()
	eventually(t, 5*time.Second, "memory and disk are measured", func() bool {
		l := s.Load()
		return l.Memory > 0 && l.Memory < 1 && l.DiskTotalBytes > 0 && l.DiskFreeBytes <= l.DiskTotalBytes && l.CPU >= 0 && l.CPU <= 1
	})
}
