package cluster

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"

	"dfs/fs"
)

func worstReport() report {
	return report{
		addr: strings.Repeat("a", addrMax), zone: strings.Repeat("z", zoneMax), version: strings.Repeat("v", versionMax),
		cluster: strings.Repeat("c", clusterMax), expect: ExpectMax, leaving: true, beat: math.MaxUint64, applied: math.MaxUint64,
		load: fs.Load{DiskTotalBytes: math.MaxUint64, DiskFreeBytes: math.MaxUint64, CPU: 1, Memory: 1, InFlight: math.MaxUint32, ReadOnly: true},
	}
}

func TestReport_FitsMemberlistsLimitAtItsWorst(t *testing.T) {
	r := worstReport()
	if n := len(r.encode()); n > memberlist.MetaMaxSize {
		t.Errorf("%d bytes, the limit is %d", n, memberlist.MetaMaxSize)
	}
}

func TestReport_ReadsWhatWasWrittenAndIgnoresNewFields(t *testing.T) {
	r := worstReport()
	r.load.CPU, r.load.Memory = 0.123, 0.999
	got, err := decodeReport(append(r.encode(), "fields of a later version"...))
	if err != nil || got != r {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReport_CutsSharesToTheirRange(t *testing.T) {
	for in, want := range map[float64]float64{-1: 0, 7: 1, math.Inf(1): 1, 0.0004: 0, 0.0006: 0.001} {
		r := report{load: fs.Load{CPU: in}}
		if got, err := decodeReport(r.encode()); err != nil || got.load.CPU != want {
			t.Errorf("%v: got %v, %v", in, got.load.CPU, err)
		}
	}
	r := report{load: fs.Load{CPU: math.NaN()}}
	if got, err := decodeReport(r.encode()); err != nil || got.load.CPU != 0 {
		t.Errorf("NaN: got %v, %v", got.load.CPU, err)
	}
}

func TestReport_RefusesOtherVersionsAndRubbish(t *testing.T) {
	r := worstReport()
	good := r.encode()
	if _, err := decodeReport(append([]byte{reportVersion + 1}, good[1:]...)); !errors.Is(err, fs.ErrNotSupported) || !errors.Is(err, errReport) {
		t.Errorf("newer: %v", err)
	}
	for n := range good {
		if _, err := decodeReport(good[:n]); !errors.Is(err, errReport) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

func FuzzReport_NeverPanics(f *testing.F) {
	r := worstReport()
	f.Add(r.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeReport(data)
		if err != nil {
			return
		}
		again, err := decodeReport(r.encode())
		if err != nil || again != r {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}
