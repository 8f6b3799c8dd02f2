// Package blobtest is the suite that every [blob.Store] passes: one disk, memory, a remote node, the set of replicas.
//
// Each test opens a store of its own. What not every store can be made to do (fill up, fence, rot, crash) is tested
// when the caller says how, by an [Option].
package blobtest

import (
	"testing"

	"dfs/blob"
	"dfs/fs"
)

// Open opens an empty store, and closes it by t.Cleanup.
type Open func(t *testing.T) blob.Store

// Option adds tests to the suite.
type Option func(*suite)

type suite struct {
	open     Open
	capacity func(t *testing.T, bytes uint64) blob.Store
	fenced   func(t *testing.T, fence func(fs.Epoch, fs.SessionID) bool) blob.Store
	damaged  func(t *testing.T) (blob.Store, func(t *testing.T, id fs.BlobID, off uint32))
	reopened func(t *testing.T) (blob.Store, func(t *testing.T) blob.Store)
}

// WithCapacity gives a store with room for about so many bytes (a power of two above 32 MiB).
func WithCapacity(open func(t *testing.T, bytes uint64) blob.Store) Option {
	return func(s *suite) { s.capacity = open }
}

// WithFence gives a store that asks fence about each Stage.
func WithFence(open func(t *testing.T, fence func(fs.Epoch, fs.SessionID) bool) blob.Store) Option {
	return func(s *suite) { s.fenced = open }
}

// WithDamage gives a store together with a way to flip a bit of the byte at off of a blob that it keeps.
func WithDamage(open func(t *testing.T) (blob.Store, func(t *testing.T, id fs.BlobID, off uint32))) Option {
	return func(s *suite) { s.damaged = open }
}

// WithReopen gives a store together with a way to close it and open what it left anew.
func WithReopen(open func(t *testing.T) (blob.Store, func(t *testing.T) blob.Store)) Option {
	return func(s *suite) { s.reopened = open }
}

// Run runs the suite.
func Run(t *testing.T, open Open, options ...Option) {
	s := &suite{open: open}
	for _, o := range options {
		o(s)
	}
	s.runLife(t)
	s.runRead(t)
	s.runList(t)
	s.runRefusals(t)
	s.runConcurrency(t)
	s.runOptions(t)
}
