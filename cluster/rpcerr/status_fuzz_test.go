package rpcerr

import (
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"dfs/fs"
)

// Whatever status a server answers with: it is an error with one of our codes, unless it says that all is well.
func FuzzFromStatus(f *testing.F) {
	for _, err := range []error{fs.ErrNotExist, &fs.NotLeaderError{Leader: "h:1"}} {
		seed, marshalErr := proto.Marshal(status.Convert(ToStatus(err)).Proto())
		if marshalErr != nil {
			f.Fatal(marshalErr)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s spb.Status
		if proto.Unmarshal(data, &s) != nil {
			return
		}
		err := FromStatus(status.FromProto(&s).Err())
		if (err == nil) != (s.GetCode() == 0) {
			t.Fatalf("code %d is %v", s.GetCode(), err)
		}
		if err != nil && (fs.CodeOf(err) == fs.CodeOK || ToStatus(err) == nil) {
			t.Errorf("%v has no code of ours", err)
		}
	})
}
