package rest

import (
	_ "embed"
	"net/http"
)

const openAPIPath = "/v1/openapi.yaml"

//go:embed openapi.yaml
var openAPI []byte

// serveOpenAPI needs no token: it says nothing of what is stored.
func serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI) // a client that has gone needs no answer
}
