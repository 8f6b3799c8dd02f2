package cluster

import (
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/fs/wire"
)

// Bounds of what a node says about itself. Together with the numbers they fit memberlist's limit of 512 bytes for a
// node's metadata; a test encodes the worst case.
const (
	addrMax    = hostMax + len(":65535")
	zoneMax    = 64
	versionMax = 64
	clusterMax = 64
	nodeIDMax  = 128 // travels beside the metadata, as memberlist's node name
)

// reportVersion is the format of a report. Fields are only ever added at the end, and a reader ignores what follows the
// fields that it knows; the version changes when that is not enough.
const reportVersion = 1

// report is what a node gossips about itself.
type report struct {
	addr    string // host:port of RPC and Raft
	zone    string
	version string
	cluster string // id; empty before the node belongs to one
	expect  uint32 // --bootstrap-expect of a candidate, 0 for none
	leaving bool   // about to stop, by its own will
	beat    uint64 // counts up with each report
	applied uint64 // Raft index
	load    fs.Load
}

// permille is the resolution of shares on the wire.
const permille = 1000

var errReport = errors.New("unreadable report")

func (r *report) encode() []byte {
	c := wire.Encoder(nil)
	v := uint64(reportVersion)
	c.Uint64(&v)
	r.wire(c)
	return c.Bytes()
}

func decodeReport(data []byte) (report, error) {
	c := wire.Decoder(data)
	var v uint64
	c.Uint64(&v)
	if c.Err() == nil && v != reportVersion {
		return report{}, fmt.Errorf("%w of version %d, this build knows %d; upgrade the older node: %w",
			errReport, v, reportVersion, fs.ErrNotSupported)
	}
	var r report
	r.wire(c)
	if err := c.Err(); err != nil {
		return report{}, fmt.Errorf("%w: %w", errReport, err)
	}
	return r, nil
}

func (r *report) wire(c *wire.Coder) {
	c.String(&r.addr)
	c.String(&r.zone)
	c.String(&r.version)
	c.String(&r.cluster)
	wire.Uint(c, &r.expect)
	c.Bool(&r.leaving)
	c.Uint64(&r.beat)
	c.Uint64(&r.applied)
	c.Uint64(&r.load.DiskTotalBytes)
	c.Uint64(&r.load.DiskFreeBytes)
	wireShare(c, &r.load.CPU)
	wireShare(c, &r.load.Memory)
	wire.Uint(c, &r.load.InFlight)
	c.Bool(&r.load.ReadOnly)
}

// wireShare codes a share of 0 … 1 in thousandths; what lies outside, NaN included, is cut to the nearest end.
func wireShare(c *wire.Coder, share *float64) {
	var n uint16
	if *share > 0 {
		n = uint16(min(*share, 1)*permille + 0.5)
	}
	wire.Uint(c, &n)
	*share = float64(min(n, permille)) / permille
}
