package config

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestLog_IsJSONWhereNobodyReadsAlong(t *testing.T) {
	for format, wantJSON := range map[string]bool{"auto": true, "json": true, "text": false} {
		l := Log{Level: "info", Format: format}
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		out := &strings.Builder{} // no terminal
		l.New(out).Info("hello", "node", "n1")
		if got := json.Valid([]byte(out.String())); got != wantJSON {
			t.Errorf("%s: %s", format, out)
		}
	}
	if err := (&Log{Level: "info", Format: "xml"}).Validate(); err == nil {
		t.Error("xml is accepted")
	}
}
