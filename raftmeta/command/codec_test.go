package command

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"dfs/fs"
	"dfs/fs/wire"
)

func TestCommand_WhatIsEncodedIsDecoded(t *testing.T) {
	for _, want := range commands() {
		got, err := Decode(Encode(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%T: %+v, %v; want %+v", want, got, err, want)
		}
		empty := reflect.New(reflect.TypeOf(want).Elem()).Interface().(Command)
		if got, err := Decode(Encode(empty)); err != nil || !reflect.DeepEqual(got, empty) {
			t.Errorf("the empty %T: %+v, %v", empty, got, err)
		}
	}
	if got, err := DecodeResult(EncodeResult(result())); err != nil || !reflect.DeepEqual(got, result()) {
		t.Errorf("result: %+v, %v", got, err)
	}
}

func TestCommand_RandomTransactionsAreDecoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := randomTx(t)
		got, err := Decode(Encode(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
	})
}

// Every field of every sample differs from its zero value, so a field that a codec forgets shows; here it is shown that
// the samples are complete.
func TestSamples_HaveAValueInEveryField(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, cmd := range commands() {
		filled(t, reflect.ValueOf(cmd).Elem(), fmt.Sprintf("%T", cmd))
		seen[reflect.TypeOf(cmd)] = true
	}
	for _, op := range ops() {
		filled(t, reflect.ValueOf(op).Elem(), fmt.Sprintf("%T", op))
	}
	for k := kind(1); ; k++ {
		cmd := newCommand(k)
		if cmd == nil {
			break
		}
		if !seen[reflect.TypeOf(cmd)] || cmd.kind() != k {
			t.Errorf("%T has no sample or another kind", cmd)
		}
	}
	for n, op := range ops() {
		if kindOf(op) != opKind(n+1) || reflect.TypeOf(newOp(opKind(n+1))) != reflect.TypeOf(op) {
			t.Errorf("%T is of kind %d", op, kindOf(op))
		}
	}
	if newOp(opKind(len(ops())+1)) != nil {
		t.Error("an operation has no sample")
	}
}

// filled fails for a zero field, but for those that a codec leaves out on purpose.
func filled(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	leftOut := map[string]bool{"*command.PutNode.Node.State": true, "*command.PutNode.Node.Load": true}
	for n := range v.NumField() {
		name, f := path+"."+v.Type().Field(n).Name, v.Field(n)
		switch {
		case leftOut[name]:
		case f.IsZero():
			t.Errorf("%s is zero", name)
		case f.Kind() == reflect.Struct:
			filled(t, f, name)
		}
	}
}

// What the log holds since version 1. These lines never change: a new meaning needs a new kind.
var goldenCommands = []string{
	"01010203040d01010161020aff0303040501740c010708020102016106030101610404010161040501016102016202060601020304" +
		"05060e101201070102010203040506020000027879040108010203020108010901020304050c010a01016101760204010b010161" +
		"040c01020d010406010102030400000002016d016e0a",
	"020163020406080a02016e03613a31017a016d03623a310179",
	"03016802022f70017604042f732f7401016e0172022f7301",
	"04010201",
	"05010206",
	"06010203",
	"070201ac0204",
	"08010102",
	"090102010161010162",
	"0a016e03613a31017a01",
	"0b016e",
	"0c01690172020420" + "03" + zeros31 + "08",
	"0d016920" + "01" + zeros31 + "017220" + "02" + zeros31 + "06",
	"0e0169",
	"0f",
	"100101022f700101020301",
	"1102",
}

const zeros31 = "00000000000000000000000000000000000000000000000000000000000000"

func TestCommand_LiesInTheLogAsVersion1WroteIt(t *testing.T) {
	for n, cmd := range commands() {
		if got := hex.EncodeToString(Encode(cmd)); got != goldenCommands[n] {
			t.Errorf("%T is encoded as\n%q, want\n%q", cmd, got, goldenCommands[n])
		}
	}
	if got := hex.EncodeToString(EncodeResult(result())); got != goldenResult {
		t.Errorf("the result is encoded as\n%q, want\n%q", got, goldenResult)
	}
	if got := hex.EncodeToString(EncodeBatch(Batch{{1, 2}, {3}})); got != "010202010201"+"03" {
		t.Errorf("the batch is encoded as %q", got)
	}
}

const goldenResult = "020202010402030405060708121416180d0e140415161718191a1b383a3c3e2021000300" +
	"002804292a2b2c2d2e2f6062646634350002"

func TestDecode_WhatIsCutOffOrHasMoreIsMalformed(t *testing.T) {
	for _, cmd := range commands() {
		data := Encode(cmd)
		for n := range data {
			if got, err := Decode(data[:n]); !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%T cut to %d of %d bytes: %+v, %v", cmd, n, len(data), got, err)
			}
		}
		if got, err := Decode(append(data, 0)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%T with a byte too many: %+v, %v", cmd, got, err)
		}
	}
}

func TestDecode_WhatIsNewerIsUnknown(t *testing.T) {
	for name, data := range map[string][]byte{
		"kind 0":    {0},
		"kind 18":   {18},
		"kind 255":  {255, 1},
		"operation": Encode(&Tx{fs.Tx{Ops: []fs.Op{&fs.Access{}}}}),
	} {
		if name == "operation" {
			at := bytes.IndexByte(data, byte(opAccess))
			data[at] = byte(opAccess) + 1
		}
		if cmd, err := Decode(data); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %+v, %v", name, cmd, err)
		}
	}
}

func TestBatch_CarriesCommandsWithoutLookingAtThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Batch(rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 1, 50)).Draw(t, "batch"))
		got, err := DecodeBatch(EncodeBatch(want))
		if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
	})
}

func TestBatch_OfAnotherVersionOrMalformed(t *testing.T) {
	data := EncodeBatch(Batch{{1}})
	for _, v := range []byte{0, Version + 1} {
		data[0] = v
		if _, err := DecodeBatch(data); !errors.Is(err, ErrUnknown) {
			t.Errorf("version %d: %v", v, err)
		}
	}
	for name, data := range map[string][]byte{"empty": nil, "cut": {1, 2, 1, 7}, "longer": {1, 0, 0}, "huge": {1, 0xff, 0xff, 0xff, 0x7f}} {
		if b, err := DecodeBatch(data); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
}

// An extent of no blob is inline, whatever its Data: the two forms cannot be confused.
func TestWireExtent_KeepsInlineAndBlobApart(t *testing.T) {
	for _, want := range []fs.Extent{
		{Off: 1, Len: 1, Data: []byte{0}},
		{Off: 1, Len: 1, Blob: fs.BlobID{Session: 1}},
		{Off: 1, Len: 1, Blob: fs.BlobID{Counter: 1}, BlobOff: 7},
	} {
		c := wire.Encoder(nil)
		WireExtent(c, &want)
		var got fs.Extent
		d := wire.Decoder(c.Bytes())
		if WireExtent(d, &got); d.End() != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v becomes %+v, %v", want, got, d.End())
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, cmd := range commands() {
		f.Add(Encode(cmd))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Decode(Encode(cmd))
		if err != nil || !reflect.DeepEqual(again, cmd) {
			t.Fatalf("%+v becomes %+v, %v", cmd, again, err)
		}
	})
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(EncodeBatch(Batch{Encode(commands()[0]), {1}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBatch(data)
		if err != nil {
			return
		}
		again, err := DecodeBatch(EncodeBatch(b))
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%v becomes %v, %v", b, again, err)
		}
	})
}

func FuzzDecodeResult(f *testing.F) {
	f.Add(EncodeResult(result()))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeResult(data)
		if err != nil {
			return
		}
		again, err := DecodeResult(EncodeResult(r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v becomes %+v, %v", r, again, err)
		}
	})
}
