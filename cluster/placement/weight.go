package placement

// Weighing. A weight is a product of factors, each 1 for a node that has nothing against it.
const (
	// weightFloor is the least share of the best node's weight that a node gets: nobody starves, so everybody is
	// observed, and a node that has recovered is noticed.
	weightFloor = 0.05
	cpuPenalty  = 0.8 // of a node whose cores are all busy
	memPenalty  = 0.5 // of a node whose memory is all used
	inFlightRef = 8.0 // requests in flight that halve a node's weight
	latencyMin  = 0.1 // factor of a node that is slower than the fastest by any amount
	unknownDisk = 0.5 // free share of a node that has not reported yet
)

// Weights are what the weighted policy gives each node: positive, the best known node about 1.
func Weights(use Use, nodes []Candidate) []float64 {
	freeMax, fastest := bests(nodes)
	weights := make([]float64, len(nodes))
	top := 0.0
	for i := range nodes {
		weights[i] = weigh(use, &nodes[i], freeMax, fastest)
		top = max(top, weights[i])
	}
	for i := range weights {
		weights[i] = max(weights[i]/top, weightFloor)
	}
	return weights
}

// weigh is positive for every node.
func weigh(use Use, c *Candidate, freeMax, fastest float64) float64 {
	w := (1 - cpuPenalty*clamp(c.Load.CPU)) * (1 - memPenalty*clamp(c.Load.Memory))
	inFlight := max(float64(c.Load.InFlight), float64(c.InFlight)) // the node's own count holds ours too, but later
	w /= 1 + max(inFlight, 0)/inFlightRef
	if c.Latency > 0 && fastest > 0 {
		w *= max(fastest/float64(c.Latency), latencyMin)
	}
	if use == Write {
		w *= disk(c, freeMax)
		if c.Fresh {
			w *= max(clamp(c.Ramp), weightFloor)
		}
	}
	return max(w, tiny)
}

// tiny keeps weights above zero.
const tiny = 1e-9

// disk is the free space as a share of the freest node's: nodes fill up in proportion to what they have left.
func disk(c *Candidate, freeMax float64) float64 {
	if c.Load.DiskTotalBytes == 0 {
		return unknownDisk
	}
	if freeMax == 0 {
		return 1
	}
	return float64(c.Load.DiskFreeBytes) / freeMax
}

// bests are the most free bytes and the least known latency, in nanoseconds, among nodes.
func bests(nodes []Candidate) (freeMax, fastest float64) {
	for i := range nodes {
		freeMax = max(freeMax, float64(nodes[i].Load.DiskFreeBytes))
		if l := float64(nodes[i].Latency); l > 0 && (fastest == 0 || l < fastest) {
			fastest = l
		}
	}
	return freeMax, fastest
}

// clamp cuts a share to 0 … 1; NaN is 0.
func clamp(x float64) float64 {
	if x > 0 {
		return min(x, 1)
	}
	return 0
}
