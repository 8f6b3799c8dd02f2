package replica

import (
	"testing"
	"time"
)

func TestLatencies_OfLargeRequestsDoNotHideThoseOfSmallOnes(t *testing.T) {
	l := latencies{kind: GetRequest}
	for range samplesMax {
		l.of(4 << 20).observe(time.Second)
		l.of(4 << 10).observe(time.Millisecond)
	}
	small, large := l.of(smallMax).p95(0), l.of(smallMax+1).p95(0)
	if small != time.Millisecond || large != time.Second {
		t.Errorf("small %v, large %v", small, large)
	}
}
