package blobrpc

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"dfs/blob/blobpb"
	"dfs/fs"
)

// cut splits b into buffers of at most n bytes, as the network does.
func cut(b []byte, n int) mem.BufferSlice {
	var s mem.BufferSlice
	for len(b) > 0 {
		k := min(n, len(b))
		s = append(s, mem.SliceBuffer(b[:k]))
		b = b[k:]
	}
	return s
}

func stageRequest(n int) *blobpb.StageRequest {
	return &blobpb.StageRequest{
		Tx: &blobpb.Tx{Session: 1, Seq: 2, Epoch: 3}, Id: &blobpb.BlobID{Session: 4, Counter: 5},
		Sums: []uint32{6, 7}, Data: bytes.Repeat([]byte{8}, n),
	}
}

func TestCodec_SpeaksStandardProtobuf(t *testing.T) {
	for _, n := range []int{0, 1, 100, 70_000, fs.BlobMax} {
		want := stageRequest(n)
		bulk := &bulkStage{req: &blobpb.StageRequest{Tx: want.Tx, Id: want.Id, Sums: want.Sums}, data: want.Data}
		encoded, err := Codec().Marshal(bulk)
		if err != nil {
			t.Fatal(err)
		}
		var got blobpb.StageRequest
		if err := proto.Unmarshal(encoded.Materialize(), &got); err != nil || !proto.Equal(&got, want) {
			t.Fatalf("%d bytes: protobuf reads another message (%v)", n, err)
		}
		reply := &blobpb.GetReply{Off: 65536, Sums: want.Sums, Data: want.Data}
		if encoded, err = Codec().Marshal(reply); err != nil {
			t.Fatal(err)
		}
		var gotReply blobpb.GetReply
		if err := proto.Unmarshal(encoded.Materialize(), &gotReply); err != nil || !proto.Equal(&gotReply, reply) {
			t.Fatalf("%d bytes: protobuf reads another reply (%v)", n, err)
		}
	}
}

func TestCodec_ReadsStandardProtobufInPieces(t *testing.T) {
	want := stageRequest(70_000)
	encoded, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []int{1, 7, 16384, len(encoded)} {
		var got blobpb.StageRequest
		if err := Codec().Unmarshal(cut(encoded, piece), &got); err != nil || !proto.Equal(&got, want) {
			t.Fatalf("in pieces of %d: another message (%v)", piece, err)
		}
	}
}

func TestCodec_LeavesOtherMessagesToTheStandardOne(t *testing.T) {
	want := &blobpb.ListRequest{After: &blobpb.BlobID{Session: 1, Counter: 2}, Limit: 3}
	encoded, err := Codec().Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got blobpb.ListRequest
	if err := Codec().Unmarshal(encoded, &got); err != nil || !proto.Equal(&got, want) {
		t.Fatalf("read back %v, %v", &got, err)
	}
}

func TestCodec_RefusesWhatIsTooLong(t *testing.T) {
	data := protowire.AppendTag(nil, stageDataField, protowire.BytesType)
	data = protowire.AppendBytes(data, make([]byte, fs.BlobMax+1))
	var req blobpb.StageRequest
	if err := Codec().Unmarshal(cut(data, 1<<14), &req); err == nil {
		t.Error("data beyond a blob's maximum was taken")
	}
	var sums []byte
	for range headMax {
		sums = protowire.AppendTag(sums, 3, protowire.Fixed32Type)
		sums = protowire.AppendFixed32(sums, 1)
	}
	if err := Codec().Unmarshal(cut(sums, 1<<14), &req); err == nil {
		t.Error("a head of 80 KiB was taken")
	}
}

// FuzzCodec compares the decoder with protobuf's own: what ours takes, protobuf takes too, and reads the same.
func FuzzCodec(f *testing.F) {
	seed, err := proto.Marshal(stageRequest(100))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, 7)
	f.Add(seed[:len(seed)-1], 1)
	f.Add([]byte{0x22, 0xff, 0xff, 0xff, 0xff, 0x0f}, 3)
	f.Add([]byte{0x22, 1, 9, 0x22, 0}, 100)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		if piece < 1 {
			piece = 1
		}
		compare(t, in, piece, new(blobpb.StageRequest), new(blobpb.StageRequest))
		compare(t, in, piece, new(blobpb.GetReply), new(blobpb.GetReply))
	})
}

func compare(t *testing.T, in []byte, piece int, ours, theirs proto.Message) {
	t.Helper()
	if err := Codec().Unmarshal(cut(in, piece), ours); err != nil {
		return
	}
	standard := encoding.GetCodecV2("proto")
	if err := standard.Unmarshal(cut(in, piece), theirs); err != nil {
		t.Fatalf("ours took %x, protobuf says %v", in, err)
	}
	ours.ProtoReflect().SetUnknown(nil)
	theirs.ProtoReflect().SetUnknown(nil)
	if !proto.Equal(ours, theirs) {
		t.Fatalf("%x: ours %v, protobuf's %v", in, ours, theirs)
	}
}
