package rest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is one thing that the front does.
type route struct {
	method   string
	selector string   // the query parameter that chooses it; empty: none does
	params   []string // other query parameters that it takes
	statuses []int    // that it answers besides commonStatuses
	serve    func(*call) error
}

// commonStatuses can be the answer to anything: bad request, no token, another origin, not found, no cluster, a bug.
var commonStatuses = []int{400, 401, 403, 404, 500, 503}

// routes is all that is served under Prefix. openapi.yaml says the same, in the words of clients.
var routes = []route{
	{"GET", "", nil, []int{200, 206, 304, 409, 412, 416}, (*call).get},
	{"HEAD", "", nil, []int{200, 304, 409, 412}, (*call).get},
	{"PUT", "", nil, []int{201, 204, 408, 409, 412, 413, 507}, (*call).put},
	{"DELETE", "", nil, []int{204, 409, 412}, (*call).remove},
	{"GET", "list", []string{"limit", "cursor"}, []int{200, 304, 409, 412}, (*call).list},
	{"HEAD", "list", []string{"limit", "cursor"}, []int{200, 304, 409, 412}, (*call).list},
	{"PUT", "mkdir", nil, []int{201, 409, 412, 507}, (*call).mkdir},
	{"POST", "mkdir", nil, []int{201, 409, 412, 507}, (*call).mkdir},
	{"PUT", "rename", nil, []int{204, 409, 412, 507}, (*call).rename},
	{"POST", "rename", nil, []int{204, 409, 412, 507}, (*call).rename},
}

// takesBody tells the one route that has a use for a request's body.
func (rt *route) takesBody() bool { return rt.method == http.MethodPut && rt.selector == "" }

// operation is the route's word in metrics.
func (rt *route) operation() string {
	if rt.selector != "" {
		return rt.selector
	}
	return strings.ToLower(rt.method)
}

// find chooses the route. What is not known is refused: a mistyped selector must not become a read or write of the file. So
// is a query that cannot be taken apart, of which URL.Query would give what is left.
func find(r *http.Request) (*route, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, newError(http.StatusBadRequest, "invalid", "bad query: "+err.Error())
	}
	var methods []string
	selector := selectorOf(query)
	for i := range routes {
		rt := &routes[i]
		if rt.selector != selector {
			continue
		}
		methods = append(methods, rt.method)
		if rt.method != r.Method {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(query)) {
			if key != rt.selector && !slices.Contains(rt.params, key) {
				return nil, newError(http.StatusBadRequest, "invalid", fmt.Sprintf("unknown query parameter %q", key))
			}
			if len(query[key]) > 1 {
				return nil, newError(http.StatusBadRequest, "invalid", fmt.Sprintf("query parameter %q is given twice", key))
			}
		}
		return rt, nil
	}
	e := newError(http.StatusMethodNotAllowed, "method_not_allowed", r.Method+" is not served here")
	e.header = http.Header{"Allow": {strings.Join(methods, ", ")}}
	return nil, e
}

// selectorOf is the query parameter that chooses a route; empty if none does.
func selectorOf(query map[string][]string) string {
	for i := range routes {
		if s := routes[i].selector; s != "" && len(query[s]) > 0 {
			return s
		}
	}
	return ""
}
