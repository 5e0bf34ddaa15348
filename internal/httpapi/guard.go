package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"cairn"
)

// guard keeps web pages of other sites, and other machines, from the local
// port. It looks at the header alone and comes before everything else: a
// browser sends requests for any page that asks it to, and a foreign name can
// be made to resolve to this machine.
type guard struct{ hosts, origins []string }

// defaultOrigins are allowed besides those of loopback: Obsidian's plugins run
// in Electron with this origin (wire contract, "Around it").
var defaultOrigins = []string{"app://obsidian.md"}

func newGuard(hosts, origins []string) guard {
	g := guard{}
	for _, h := range hosts {
		g.hosts = append(g.hosts, plainHost(h))
	}
	for _, o := range append(slices.Clone(defaultOrigins), origins...) {
		g.origins = append(g.origins, strings.ToLower(o))
	}
	return g
}

// check returns an error of cairn.CodeForbidden unless the request may pass.
func (g guard) check(r *http.Request) error {
	if !g.host(r.Host, localAddress(r)) {
		return forbidden("The request names the host "+cairn.Quote(r.Host)+", which is not this machine.",
			"Use http://127.0.0.1 or http://localhost with the daemon's port, or have the daemon allow the name: cairn serve --allow-hosts.")
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		if len(origins) == 1 && g.origin(origins[0]) {
			return nil
		}
		return forbidden("A page of "+cairn.Quote(strings.Join(origins, ", "))+" may not use this daemon.",
			"Programs send no Origin; pages of this machine are allowed, and those of cairn serve --allow-origins.")
	}
	if strings.EqualFold(r.Header.Get("Sec-Fetch-Site"), "cross-site") && !navigation(r) {
		return forbidden("A page of another site may not use this daemon.",
			"Open the daemon's own page in the browser instead.")
	}
	return nil
}

// host reports whether the Host header names this machine, with any port: as
// loopback, as configured, or by the address that the request came in on.
func (g guard) host(hostport string, local netip.Addr) bool {
	host := hostport
	if h, port, err := net.SplitHostPort(hostport); err == nil {
		if !decimal(port) {
			return false
		}
		host = h
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return false
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil && local.IsValid() && addr == local {
		return true
	}
	return isLoopback(host) || slices.Contains(g.hosts, plainHost(host))
}

// plainHost returns a host name or address in the one form that is compared.
func plainHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String()
	}
	return strings.ToLower(host)
}

// localAddress returns the address of this machine that a request came in on, over
// TCP; else the zero one.
func localAddress(r *http.Request) netip.Addr {
	tcp, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

func decimal(port string) bool {
	return len(port) <= 5 && strings.Trim(port, "0123456789") == ""
}

// origin reports whether pages of the origin are allowed.
func (g guard) origin(origin string) bool {
	if slices.Contains(g.origins, strings.ToLower(origin)) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return false // no browser sends such an origin
	}
	return isLoopback(u.Hostname())
}

// isLoopback reports whether a host name or address without port is loopback.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}

// navigation reports whether a person follows a link to our page.
func navigation(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.Header.Get("Sec-Fetch-Dest") == "document"
}

func forbidden(message, hint string) error {
	return &cairn.Error{Code: cairn.CodeForbidden, Message: message, Hint: hint}
}
