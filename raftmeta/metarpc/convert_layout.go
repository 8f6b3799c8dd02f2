package metarpc

import (
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

func toExtent(e fs.Extent) *metapb.Extent {
	return &metapb.Extent{Off: e.Off, Len: e.Len, Blob: toBlobID(e.Blob), BlobOff: e.BlobOff, Data: e.Data}
}

func fromExtent(e *metapb.Extent) fs.Extent {
	x := fs.Extent{Off: e.GetOff(), Len: e.GetLen(), Blob: fromBlobID(e.GetBlob()), BlobOff: e.GetBlobOff()}
	if data := e.GetData(); len(data) > 0 {
		x.Data = data
	}
	return x
}

// toLayout converts, and cuts the answer where its inline data would make the message too large. At least one extent
// stays, so that who asks on comes forward.
func toLayout(l *fs.Layout) *metapb.LayoutReply {
	extents, more := l.Extents, l.More
	data := 0
	for i := range extents {
		data += len(extents[i].Data)
		if data > layoutDataMax && i > 0 {
			more = extents[i].Off
			extents = extents[:i]
			break
		}
	}
	return &metapb.LayoutReply{Attr: toAttr(l.Attr), Extents: each(extents, toExtent), Blobs: each(l.Blobs, toBlobInfo), More: more, Index: l.Index}
}

func fromLayout(l *metapb.LayoutReply) *fs.Layout {
	return &fs.Layout{Attr: fromAttr(l.GetAttr()), Extents: each(l.GetExtents(), fromExtent),
		Blobs: each(l.GetBlobs(), fromBlobInfo), More: l.GetMore(), Index: l.GetIndex()}
}
