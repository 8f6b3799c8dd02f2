package placement

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"dfs/fs"
)

// Share is how often a node was picked.
type Share struct {
	ID    fs.NodeID
	Picks int
	Share float64 // of all picks, 0 … 1
}

// Shares picks a node for n writes of one replica each, loads staying as they are, and counts; by rising id.
func Shares(p Policy, nodes []Candidate, n int, seed uint64) ([]Share, error) {
	shares := make([]Share, len(nodes))
	at := make(map[fs.NodeID]int, len(nodes))
	for i, c := range ordered(nodes) {
		shares[i].ID, at[c.ID] = c.ID, i
	}
	d := NewDraw(seed)
	for range n {
		picked, err := ForWrite(p, d, nodes, nil, 1)
		if err != nil {
			return nil, err
		}
		shares[at[picked[0].ID]].Picks++
	}
	for i := range shares {
		shares[i].Share = float64(shares[i].Picks) / float64(max(n, 1))
	}
	return shares, nil
}

// nodesMax bounds a file of nodes.
const nodesMax = 10_000

// nodeLine is a node in a file.
type nodeLine struct {
	ID        string  `json:"id"`
	Zone      string  `json:"zone"`
	DiskTotal uint64  `json:"disk_total"` // bytes
	DiskFree  uint64  `json:"disk_free"`  // bytes
	CPU       float64 `json:"cpu"`        // 0 … 1
	Memory    float64 `json:"memory"`     // 0 … 1
	InFlight  uint32  `json:"in_flight"`
	LatencyMs float64 `json:"latency_ms"`
}

// ParseNodes reads nodes for [Shares]: a JSON array, or one JSON object after the other, each with id and any of zone,
// disk_total, disk_free (bytes), cpu, memory (0 … 1), in_flight, latency_ms. Anything else is fs.ErrInvalid.
func ParseNodes(r io.Reader) ([]Candidate, error) {
	in := bufio.NewReader(r)
	array, err := startsArray(in)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(in)
	dec.DisallowUnknownFields()
	if array {
		if _, err := dec.Token(); err != nil {
			return nil, fmt.Errorf("nodes: %w: %w", err, fs.ErrInvalid)
		}
	}
	nodes, err := parseEntries(dec, array)
	if err == nil && len(nodes) == 0 {
		err = fmt.Errorf("there is no node in it: %w", fs.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	return nodes, nil
}

func parseEntries(dec *json.Decoder, array bool) ([]Candidate, error) {
	var nodes []Candidate
	seen := make(map[string]bool)
	for dec.More() {
		var l nodeLine
		where := fmt.Sprintf("node %d", len(nodes)+1)
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", where, err, fs.ErrInvalid)
		}
		c, err := l.candidate()
		if err == nil && seen[l.ID] {
			err = fmt.Errorf("id %q is there twice: %w", l.ID, fs.ErrInvalid)
		}
		if err == nil && len(nodes) >= nodesMax {
			err = fmt.Errorf("more than %d nodes: %w", nodesMax, fs.ErrTooLarge)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		seen[l.ID] = true
		nodes = append(nodes, c)
	}
	if array {
		if _, err := dec.Token(); err != nil {
			return nil, fmt.Errorf("end of the array: %w: %w", err, fs.ErrInvalid)
		}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the last node: %w", fs.ErrInvalid)
	}
	return nodes, nil
}

func (l *nodeLine) candidate() (Candidate, error) {
	share := func(x float64) bool { return x >= 0 && x <= 1 }
	switch {
	case l.ID == "":
		return Candidate{}, fmt.Errorf("it has no id: %w", fs.ErrInvalid)
	case !share(l.CPU) || !share(l.Memory):
		return Candidate{}, fmt.Errorf("cpu and memory must be 0 … 1: %w", fs.ErrInvalid)
	case l.DiskFree > l.DiskTotal:
		return Candidate{}, fmt.Errorf("disk_free is more than disk_total: %w", fs.ErrInvalid)
	case !(l.LatencyMs >= 0 && l.LatencyMs <= 1e9):
		return Candidate{}, fmt.Errorf("latency_ms must be 0 … 1e9: %w", fs.ErrInvalid)
	}
	return Candidate{
		NodeInfo: fs.NodeInfo{ID: fs.NodeID(l.ID), Zone: l.Zone, State: fs.NodeAlive, Load: fs.Load{
			DiskTotalBytes: l.DiskTotal, DiskFreeBytes: l.DiskFree, CPU: l.CPU, Memory: l.Memory, InFlight: l.InFlight,
		}},
		Latency: time.Duration(l.LatencyMs * float64(time.Millisecond)),
	}, nil
}

// startsArray looks at the first byte that is not white space, without consuming it.
func startsArray(in *bufio.Reader) (bool, error) {
	for {
		b, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return false, fmt.Errorf("nodes: the file is empty: %w", fs.ErrInvalid)
		}
		if err != nil {
			return false, fmt.Errorf("read nodes: %w", err)
		}
		if b == ' ' || b == '\t' || b == '\n' || b == '\r' {
			continue
		}
		return b == '[', in.UnreadByte()
	}
}
