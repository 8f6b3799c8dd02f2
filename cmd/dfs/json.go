package main

import (
	"encoding/json"
	"io"
	"reflect"
)

// writeJSON writes v for programs. Lists are lists, empty ones too: who goes through them need not know null.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(withLists(v))
}

// writeJSONLine is writeJSON on one line, for programs that read one value after the other.
func writeJSONLine(w io.Writer, v any) error { return json.NewEncoder(w).Encode(withLists(v)) }

// withLists is v with empty lists where it has nil ones: over the network the two are the same.
func withLists(v any) any {
	value := reflect.ValueOf(v)
	if !value.IsValid() {
		return v
	}
	out := reflect.New(value.Type()).Elem()
	out.Set(value)
	fillLists(out)
	return out.Interface()
}

// fillLists fills in v, which can be set, and what it points to.
func fillLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fillLists(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fillLists(f)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // bytes are a string in JSON
		}
		if v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			fillLists(v.Index(i))
		}
	}
}
