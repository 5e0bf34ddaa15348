package azure

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"cairn/internal/bucket/remote"
)

// A Location says where objects are: in a container of a storage account, below a
// prefix.
type Location struct {
	Container string
	Prefix    string // of all names, without slashes at its ends; "" for none
	Account   string // the storage account
	Endpoint  string // of the account, as https://host:port; "" means that of public Azure
}

// longestName is how many characters the longest name of a container has.
const longestName = 63

// Source: Microsoft, Naming rules and restrictions for Azure resources.
var (
	containerName = regexp.MustCompile(`^[a-z0-9]([a-z0-9]|-[a-z0-9]){2,}$`)
	accountName   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
)

// form is that of the URLs.
func form() remote.Form {
	return remote.Form{Scheme: "azblob", Noun: "container", Name: containerName, Params: []string{"storage_account", "endpoint"}}
}

// ParseURL reads azblob://container/prefix?storage_account=...&endpoint=...; the
// prefix and the endpoint can be left out. What it does not know is an error.
func ParseURL(text string) (Location, error) {
	var l Location
	var err error
	l.Container, l.Prefix, err = form().Parse(text, map[string]*string{"storage_account": &l.Account, "endpoint": &l.Endpoint})
	if err != nil {
		return Location{}, err
	}
	if len(l.Container) > longestName {
		return Location{}, fmt.Errorf("the name of its container has more than %d letters", longestName)
	}
	if !accountName.MatchString(l.Account) {
		return Location{}, errors.New("it does not name a storage account, as in azblob://container/prefix?storage_account=account")
	}
	if l.Endpoint, err = remote.Endpoint(l.Endpoint); err != nil {
		return Location{}, err
	}
	if l.Endpoint == (Location{Account: l.Account}).service() {
		l.Endpoint = "" // one place, one URL
	}
	return l, nil
}

// String returns the one URL of a location.
func (l Location) String() string {
	return form().URL(l.Container, l.Prefix, map[string]string{"storage_account": l.Account, "endpoint": l.Endpoint})
}

// Place returns the URL of a location: two with the same have the same objects.
func (l Location) Place() string { return l.String() }

// Below returns the prefix of all names.
func (l Location) Below() string { return l.Prefix }

// Outer returns the locations whose prefixes this one's is below, nearest first.
func (l Location) Outer() []Location {
	var outer []Location
	for _, l.Prefix = range remote.Outer(l.Prefix) {
		outer = append(outer, l)
	}
	return outer
}

// service returns the URL of the account. An endpoint whose host does not begin with
// its name, as that of an emulator, has it as a part of the path.
func (l Location) service() string {
	if l.Endpoint == "" {
		return "https://" + l.Account + ".blob.core.windows.net"
	}
	if u, err := url.Parse(l.Endpoint); err == nil && strings.HasPrefix(u.Host, l.Account+".") {
		return l.Endpoint
	}
	return l.Endpoint + "/" + l.Account
}
