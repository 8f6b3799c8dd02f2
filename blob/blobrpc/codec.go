package blobrpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"dfs/blob/blobpb"
	"dfs/fs"
)

// Codec is protobuf, without the copies of bulk bytes: of StageRequest and GetReply it sends the data field as the
// slice that it is, and receives it with one copy, out of the network's buffers into a slice of the right size. All
// other messages go to the standard codec. Both speak the same format and name, so either side may use either.
//
// Clients of this package use it by themselves; a server does with grpc.ForceServerCodecV2(blobrpc.Codec()).
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

type codec struct{ standard encoding.CodecV2 }

func (c codec) Name() string { return c.standard.Name() }

// The data fields in blob.proto; each is the last of its message.
const (
	stageDataField = protowire.Number(4)
	getDataField   = protowire.Number(3)
)

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *bulkStage:
		return withData(m.req, stageDataField, m.lend())
	case *blobpb.GetReply:
		return withData(&blobpb.GetReply{Off: m.Off, Sums: m.Sums}, getDataField, mem.SliceBuffer(m.Data))
	}
	return c.standard.Marshal(v)
}

// withData is m, which has none, followed by a data field.
func withData(m proto.Message, field protowire.Number, data mem.Buffer) (mem.BufferSlice, error) {
	head, err := proto.Marshal(m)
	if err != nil {
		data.Free()
		return nil, fmt.Errorf("marshal %T: %w", m, err)
	}
	if data.Len() == 0 {
		data.Free()
		return mem.BufferSlice{mem.SliceBuffer(head)}, nil
	}
	head = protowire.AppendTag(head, field, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(data.Len()))
	return mem.BufferSlice{mem.SliceBuffer(head), data}, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *blobpb.StageRequest:
		return split(data, stageDataField, m, func(b []byte) { m.Data = b })
	case *blobpb.GetReply:
		return split(data, getDataField, m, func(b []byte) { m.Data = b })
	}
	return c.standard.Unmarshal(data, v)
}

// headMax bounds what a message may hold beside its data.
const headMax = 16 << 10

var errMalformed = errors.New("malformed message")

// split reads the top level of an encoded message: the data field goes to set, the rest to protobuf.
func split(in mem.BufferSlice, field protowire.Number, m proto.Message, set func([]byte)) error {
	r := in.Reader()
	var head, data []byte
	for r.Remaining() > 0 {
		tag, err := binary.ReadUvarint(r)
		if err != nil {
			return errMalformed
		}
		num, typ := protowire.DecodeTag(tag)
		if num == field && typ == protowire.BytesType {
			if data, err = readBytes(r, fs.BlobMax); err != nil {
				return fmt.Errorf("data: %w", err)
			}
			continue
		}
		head = protowire.AppendVarint(head, tag)
		if head, err = copyField(head, r, typ); err != nil {
			return err
		}
		if len(head) > headMax {
			return fmt.Errorf("more than %d bytes beside the data: %w", headMax, errMalformed)
		}
	}
	if err := proto.Unmarshal(head, m); err != nil {
		return fmt.Errorf("unmarshal %T: %w", m, err)
	}
	set(data)
	return nil
}

// copyField appends one field's value to head. Our messages have no groups.
func copyField(head []byte, r *mem.Reader, typ protowire.Type) ([]byte, error) {
	switch typ {
	case protowire.VarintType:
		v, err := binary.ReadUvarint(r)
		if err != nil {
			return nil, errMalformed
		}
		return protowire.AppendVarint(head, v), nil
	case protowire.Fixed32Type:
		return copyN(head, r, 4)
	case protowire.Fixed64Type:
		return copyN(head, r, 8)
	case protowire.BytesType:
		b, err := readBytes(r, headMax)
		if err != nil {
			return nil, err
		}
		return protowire.AppendBytes(head, b), nil
	}
	return nil, errMalformed
}

func copyN(head []byte, r *mem.Reader, n int) ([]byte, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:n]); err != nil {
		return nil, errMalformed
	}
	return append(head, b[:n]...), nil
}

// readBytes reads a length and so many bytes; it never allocates more than the input has left, nor more than most.
func readBytes(r *mem.Reader, most int) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil || n > uint64(r.Remaining()) {
		return nil, errMalformed
	}
	if n > uint64(most) {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed: %w", n, most, errMalformed)
	}
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, errMalformed
	}
	return b, nil
}
