package remote

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"cairn/internal/bucket"
)

// A Form is what the URLs of one kind of store look like: scheme://name/prefix,
// and parameters.
type Form struct {
	Scheme string
	Noun   string         // what the name is of, for a person: bucket
	Name   *regexp.Regexp // that it matches
	Params []string       // their names
}

// Parse reads a URL, the parameters into params, by their names. The prefix, which
// is without slashes at its ends, and the parameters can be left out. What it does
// not know is an error.
func (f Form) Parse(text string, params map[string]*string) (name, prefix string, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", "", errors.New("it is not a URL")
	}
	name, prefix = u.Host, strings.Trim(u.Path, "/")
	switch {
	case u.Scheme != f.Scheme || u.Opaque != "":
		return "", "", fmt.Errorf("it does not begin with %s://", f.Scheme)
	case u.User != nil:
		return "", "", errors.New("credentials do not belong into it: put them into the environment or a profile, as docs/clouds.md shows")
	case u.Fragment != "":
		return "", "", errors.New("nothing may follow a #")
	case !f.Name.MatchString(name):
		return "", "", fmt.Errorf("it does not name a %s, as in %s://%s/prefix", f.Noun, f.Scheme, f.Noun)
	}
	if prefix != "" {
		// What stands below has to have room for the longest of our names.
		if err := bucket.ValidateName(prefix); err != nil || len(prefix) > bucket.MaxName/2 {
			return "", "", fmt.Errorf("its prefix can have letters, digits, dots, dashes and underscores between slashes, and %d bytes", bucket.MaxName/2)
		}
	}
	given, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", "", errors.New("its parameters are malformed")
	}
	for param, values := range given {
		field := params[param]
		switch {
		case field == nil:
			return "", "", fmt.Errorf("its parameter %.60q is not known: %s", param, f.list())
		case len(values) != 1 || values[0] == "":
			return "", "", fmt.Errorf("its parameter %s must have one value", param)
		}
		*field = values[0]
	}
	return name, prefix, nil
}

// list says to a person which parameters there are.
func (f Form) list() string {
	last := len(f.Params) - 1
	if last == 0 {
		return "there is " + f.Params[0]
	}
	return "there are " + strings.Join(f.Params[:last], ", ") + " and " + f.Params[last]
}

// URL returns the one URL of a name, a prefix and parameters, of which those that
// are empty are left out.
func (f Form) URL(name, prefix string, params map[string]string) string {
	query := url.Values{}
	for param, value := range params {
		if value != "" {
			query.Set(param, value)
		}
	}
	u := url.URL{Scheme: f.Scheme, Host: name, Path: "/" + prefix}
	if prefix == "" {
		u.Path = ""
	}
	// The endpoint is easier to read unescaped, and a query may hold it so.
	u.RawQuery = strings.NewReplacer("%3A", ":", "%2F", "/").Replace(query.Encode())
	return u.String()
}

// Endpoint returns the one form of an endpoint, https://host:port. That of "" is "".
func Endpoint(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("its endpoint is not of the form https://host or http://host:port")
	}
	host, port := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	if port == map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return u.Scheme + "://" + host, nil
}

// Outer returns the prefixes that a prefix is below, nearest first.
func Outer(prefix string) []string {
	var outer []string
	for prefix != "" {
		prefix = prefix[:max(0, strings.LastIndexByte(prefix, '/'))]
		outer = append(outer, prefix)
	}
	return outer
}
