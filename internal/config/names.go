package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"cairn"
)

// names is a list of names, each of which parse brings into its usual form. Its
// text has commas between them, and white space around them does not count.
type names struct {
	at    *[]string
	parse func(string) (string, error)
}

func (n *names) String() string { return strings.Join(*n.at, ",") }

func (n *names) set(text string) error {
	var all []string
	for given := range strings.SplitSeq(text, ",") {
		given = strings.TrimSpace(given)
		if given == "" || given == off {
			continue
		}
		name, err := n.parse(given)
		if err != nil {
			return err
		}
		all = append(all, name)
	}
	*n.at = all
	return nil
}

// hostName is what a host is called in a URL; a name with other letters is written
// there as Punycode has it. Source: RFC 1123, section 2.1, with the underscore that
// is in use besides.
var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

// longestHost is that of a name in the DNS. Source: RFC 1035, section 2.3.4.
const longestHost = 253

// parseHost returns a name or an address, without a port.
func parseHost(given string) (string, error) {
	host := strings.ToLower(given)
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil && addr.Zone() == "" {
		return addr.String(), nil
	}
	switch {
	case strings.Contains(host, "*"):
		return "", fmt.Errorf("%s stands for many names, and one of them can be made to lead any page here: name each", cairn.Quote(given))
	case strings.Contains(host, "/"):
		return "", fmt.Errorf("%s is more than a name: leave out what is before and behind it", cairn.Quote(given))
	case strings.Contains(host, ":"):
		return "", fmt.Errorf("%s is no name or address: it has no port, which may be any", cairn.Quote(given))
	case !hostName.MatchString(host) || len(host) > longestHost:
		return "", fmt.Errorf("%s is no name or address: it looks like box.example.com or 192.168.1.5", cairn.Quote(given))
	}
	return host, nil
}

// scheme is that of a URL. Source: RFC 3986, section 3.1.
var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)

// parseOrigin returns an origin as browsers send it.
func parseOrigin(given string) (string, error) {
	switch {
	case given == "*":
		return "", errors.New(`"*" would let any page that is open in a browser read and delete everything: name each origin`)
	case strings.EqualFold(given, "null"):
		return "", errors.New(`"null" is the origin of any page that hides where it comes from, and would let all of them in: name each origin`)
	}
	u, err := url.Parse(strings.ToLower(given))
	if err != nil || !scheme.MatchString(u.Scheme) || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("%s is no origin: it looks like https://tools.example.com or http://box:8080", cairn.Quote(given))
	}
	if u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(given, "?") || strings.HasSuffix(given, "#") {
		return "", fmt.Errorf("%s is more than an origin: it ends behind the name and the port, without a slash", cairn.Quote(given))
	}
	host, err := parseHost(u.Hostname())
	if err != nil {
		return "", err
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); strings.HasSuffix(u.Host, ":") || port != "" && (err != nil || n == 0) {
		return "", fmt.Errorf("%s has no port from 1 to 65535", cairn.Quote(given))
	}
	if port != "" && !(u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443") {
		host += ":" + port // browsers leave the usual one out
	}
	return u.Scheme + "://" + host, nil
}
