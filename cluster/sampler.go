package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"

	"dfs/fs"
)

const (
	sampleInterval = time.Second
	sampleGain     = 0.3 // weight of one sample: a change counts half after about two seconds
)

// Sampler measures this machine once a second. Reading it costs nothing and never waits.
type Sampler struct {
	dir    string
	log    *slog.Logger
	gauges gauges
	cancel context.CancelFunc
	loop   sync.WaitGroup

	mu      sync.Mutex
	load    fs.Load
	sampled bool
	failed  bool // the last sample; said once
}

// gauges are what is measured; tests put their own in.
type gauges struct {
	cpu    func(context.Context) (float64, error)                      // busy share since the last call, 0 … 1
	memory func(context.Context) (float64, error)                      // used share
	disk   func(context.Context, string) (total, free uint64, _ error) // bytes
}

// StartSampler begins to measure; dir is any directory on the disk that counts. Close it.
func StartSampler(dir string, log *slog.Logger) *Sampler {
	return startSampler(dir, log, systemGauges())
}

func startSampler(dir string, log *slog.Logger, g gauges) *Sampler {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sampler{dir: dir, log: logger(log), gauges: g, cancel: cancel}
	s.loop.Go(func() { s.run(ctx) })
	return s
}

// Load is the last measurement: CPU and Memory smoothed, the disk's space as the system sees it. InFlight, ReadOnly and
// the reserve are the storage's to fill in.
func (s *Sampler) Load() fs.Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load
}

// Close stops measuring and waits.
func (s *Sampler) Close() error {
	s.cancel()
	s.loop.Wait()
	return nil
}

func (s *Sampler) run(ctx context.Context) {
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.sample(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// sample measures once; what cannot be measured keeps its last value.
func (s *Sampler) sample(ctx context.Context) {
	busy, cpuErr := s.gauges.cpu(ctx)
	used, memErr := s.gauges.memory(ctx)
	total, free, diskErr := s.gauges.disk(ctx, s.dir)
	s.mu.Lock()
	defer s.mu.Unlock()
	gain := sampleGain
	if !s.sampled {
		gain, s.sampled = 1, true
	}
	if cpuErr == nil {
		s.load.CPU += gain * (busy - s.load.CPU)
	}
	if memErr == nil {
		s.load.Memory += gain * (used - s.load.Memory)
	}
	if diskErr == nil {
		s.load.DiskTotalBytes, s.load.DiskFreeBytes = total, free
	}
	err := joinLine([]error{cpuErr, memErr, diskErr})
	if err != nil && !s.failed && ctx.Err() == nil {
		s.log.Warn("cannot measure this machine's load", "err", err)
	}
	s.failed = err != nil
}

func systemGauges() gauges {
	return gauges{
		cpu: func(ctx context.Context) (float64, error) {
			all, err := cpu.PercentWithContext(ctx, 0, false)
			if err != nil || len(all) == 0 {
				return 0, fmt.Errorf("cpu: %w", noReading(err))
			}
			return all[0] / 100, nil
		},
		memory: func(ctx context.Context) (float64, error) {
			m, err := mem.VirtualMemoryWithContext(ctx)
			if err != nil {
				return 0, fmt.Errorf("memory: %w", err)
			}
			return m.UsedPercent / 100, nil
		},
		disk: func(ctx context.Context, dir string) (uint64, uint64, error) {
			u, err := disk.UsageWithContext(ctx, dir)
			if err != nil {
				return 0, 0, fmt.Errorf("disk of %s: %w", dir, err)
			}
			return u.Total, u.Free, nil
		},
	}
}

func noReading(err error) error {
	if err == nil {
		return fs.ErrUnavailable
	}
	return err
}
