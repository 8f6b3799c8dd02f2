package metarpc

import (
	"context"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// The wish of a call goes with its request, and what was granted comes with its answer: both ends find them in the context.

// wisher is a request that may bear a wish, bearer an answer that may bear leases.
type (
	wisher interface{ GetWish() *metapb.Wish }
	bearer interface{ GetLeases() *metapb.Leases }
)

// wishOf is what a client's caller wishes; nil for nothing.
func wishOf(ctx context.Context) *metapb.Wish {
	c := fs.LeasesOf(ctx)
	if c == nil {
		return nil
	}
	return &metapb.Wish{Session: uint64(c.Session), Epoch: uint64(c.Epoch), Want: uint32(c.Want), Stray: c.Stray, Page: c.Page}
}

// granted hands a client's caller what an answer bears: of one answer only, however many attempts there were.
func granted(ctx context.Context, reply any) {
	c, b := fs.LeasesOf(ctx), bearer(nil)
	if c == nil {
		return
	}
	if b, _ = reply.(bearer); b == nil {
		return
	}
	c.Term, c.Got = b.GetLeases().GetTerm(), fromLeases(b.GetLeases())
}

// wished returns a served call's context with the wish of its request; nil if it has none.
func wished(ctx context.Context, request any) (context.Context, *fs.LeaseCall, error) {
	w, _ := request.(wisher)
	if w == nil || w.GetWish() == nil {
		return ctx, nil, nil
	}
	wish := w.GetWish()
	if err := checkWish(wish); err != nil {
		return nil, nil, err
	}
	c := &fs.LeaseCall{Session: fs.SessionID(wish.GetSession()), Epoch: fs.Epoch(wish.GetEpoch()), Want: fs.LeaseMode(wish.GetWant()),
		Stray: wish.GetStray(), Page: wish.GetPage()}
	return fs.WithLeases(ctx, c), c, nil
}

// bear puts into an answer what was granted; c is nil if nothing was wished.
func bear(reply any, c *fs.LeaseCall) {
	if c == nil {
		return
	}
	l := toLeases(c.Term, c.Got)
	switch r := reply.(type) {
	case *metapb.CommitReply:
		r.Leases = l
	case *metapb.AttrReply:
		r.Leases = l
	case *metapb.ReaddirReply:
		r.Leases = l
	case *metapb.LayoutReply:
		r.Leases = l
	case *metapb.XattrReply:
		r.Leases = l
	case *metapb.ListxattrReply:
		r.Leases = l
	}
}
