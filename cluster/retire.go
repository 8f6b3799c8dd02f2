package cluster

import (
	"context"
	"crypto/x509"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/connectivity"
)

// A connection is made anew before a certificate that it was made with ends, when both sides have had the time to renew
// theirs: with this share of the life left, and up to another half of it earlier. See DESIGN.md.
const freshShare = 6

// freshness is when a connection is to be made anew.
func freshness(certs ...*x509.Certificate) time.Time {
	first := certs[0].NotAfter
	spread := rand.Float64()
	for i, c := range certs {
		left := time.Duration(float64(c.NotAfter.Sub(c.NotBefore)) / freshShare * (1 + spread/2))
		if end := c.NotAfter.Add(-left); i == 0 || end.Before(first) {
			first = end
		}
	}
	return first
}

// retireAt makes a connection anew at the end of its freshness. One that is past it already was made by sides that could not
// renew: it ends with the certificates. d.mu is held, so that retire finds the connection however soon it comes.
func (d *Dialer) retireAt(c *dialled, fresh time.Time) {
	if wait := time.Until(fresh); wait > 0 {
		c.retire = time.AfterFunc(wait, func() { d.retire(c) })
	}
}

// retire breaks a connection between two calls, if it can be; the next one connects anew.
func (d *Dialer) retire(c *dialled) {
	d.mu.Lock()
	_, open := d.open[c.addr][c]
	client, l := d.clients[c.addr], d.lanes[c.addr]
	if d.closed || !open {
		d.mu.Unlock()
		return
	}
	d.work.Add(1)
	d.mu.Unlock()
	defer d.work.Done()
	d.log.Debug("connection made anew, since a certificate has been renewed or is about to end", "peer", c.addr, "protocol", c.proto)
	if c.proto != ProtocolGRPC || l == nil {
		drop(c)
		return
	}
	l.drained(func() {
		drop(c)
		ctx, cancel := context.WithTimeout(context.Background(), drainMax)
		defer cancel()
		client.WaitForStateChange(ctx, connectivity.Ready) // or a call could still begin on it
	})
}
