package config

import (
	"iter"
	"slices"
	"strings"
	"time"

	"cairn"
)

// A Key is one setting, as all know it who set or show it.
type Key struct {
	// Name is what it is called in the file, with its table: backup.quiet.
	Name string
	// Flag is the flag of the command line, without dashes.
	Flag string
	// Form says what a value is, in a word, and Example is one.
	Form, Example string
	// About says what it does, and Unset what is done without it.
	About, Unset string

	kind  kind
	field func(*Config) value
}

// Variable returns the variable of the environment: CAIRN_BACKUP_QUIET.
func (k Key) Variable() string {
	return "CAIRN_" + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

// Text returns the value in a configuration; "" for none, or one that is off.
func (k Key) Text(c *Config) string { return k.field(c).String() }

// set sets the value. Its errors are for a person.
func (k Key) set(c *Config, text string) error { return k.field(c).set(text) }

// A kind is what of TOML's types a key takes.
type kind int

const (
	textual kind = iota
	filePath
	place   // a path or a URL
	number  // or text
	choice  // true, false, or text
	list    // of texts, or one with commas
	address // text, or unix: and a path
)

// Keys returns all keys, in the order of the file: those without a table first.
func Keys() []Key {
	keys := []Key{
		{"data", "data", "folder", "~/snippets", "the data folder", "that of this user",
			filePath, func(c *Config) value { return (*text)(&c.Data) }},
		{"listen", "listen", "address", "127.0.0.1:39300", "the one address to listen on, as 127.0.0.1:PORT, where port 0 takes a free one, or unix:PATH",
			"port 1000 if it can be bound, and the first free of 39300 to 39333",
			address, func(c *Config) value { return (*text)(&c.Listen) }},
		{"allow_origins", "allow-origins", "origins", "https://tools.example.com", "the origins whose pages may use the daemon besides those of this machine", "none",
			list, func(c *Config) value { return &names{&c.AllowOrigins, parseOrigin} }},
		{"allow_hosts", "allow-hosts", "names", "box.example.com", "the names and addresses by which it may be called besides those of loopback and the one it listens on", "none",
			list, func(c *Config) value { return &names{&c.AllowHosts, parseHost} }},
		{"token_file", "token-file", "file", "~/cairn-token.txt", "the file with the token that programs must show, other than over a socket; it is made where there is none", "no token",
			filePath, func(c *Config) value { return (*text)(&c.TokenFile) }},
		{"tls_cert", "tls-cert", "file", "~/cairn-cert.pem", "the file with the certificate for TLS, and those above it", "no TLS",
			filePath, func(c *Config) value { return (*text)(&c.TLSCert) }},
		{"tls_key", "tls-key", "file", "~/cairn-key.pem", "the file with the key of that certificate", "no TLS",
			filePath, func(c *Config) value { return (*text)(&c.TLSKey) }},
		{"cloud", "cloud", "place", "s3://bucket/prefix", "the place for backups: a folder, or s3://, gs:// or azblob:// with BUCKET/PREFIX", "cloud in the data folder",
			place, func(c *Config) value { return (*text)(&c.Cloud) }},
		{"key", "key", "file", "~/cairn-key.txt", "the file with the key of that place, where the data folder lacks it", "what the data folder has",
			filePath, func(c *Config) value { return (*text)(&c.Key) }},
		{"log_level", "log-level", "level", "info", "what is logged on standard error: debug, info, warn or error", "info",
			textual, func(c *Config) value { return (*level)(&c.LogLevel) }},
		{"backup.schedule", "schedule", "cron", "0 3 * * *", "when backups are made: minute, hour, day, month and day of the week, in local time", "never",
			textual, func(c *Config) value { return (*schedule)(&c.Backup.Schedule) }},
		{"backup.quiet", "quiet", "duration", "30s", "how long after the last change a backup is made", "never",
			textual, func(c *Config) value { return &duration{&c.Backup.Quiet, longestQuiet} }},
		{"backup.at_most_every", "at-most-every", "duration", "1h", "how far apart the backups after changes are at least", "1h",
			textual, func(c *Config) value { return &duration{&c.Backup.AtMostEvery, longestPause} }},
	}
	for name := range new(cairn.Retention).Counts() {
		about := "how many of the newest backups stay"
		if name != "last" {
			about = "of how many " + unitOf(name) + "s the newest backup stays"
		}
		keys = append(keys, keepKey(name, "number", "7", about, number,
			func(c *Config) value { return (*count)(find(c.Retention.Keep.Counts(), name)) }))
	}
	for name := range new(cairn.Retention).Spans() {
		about := "how long before the newest backup all stay"
		if name != "within" {
			about = "how long before the newest backup that of each " + unitOf(strings.TrimPrefix(name, "within-")) + " stays"
		}
		keys = append(keys, keepKey(name, "span", "2y5m7d3h", about, textual,
			func(c *Config) value { return (*span)(find(c.Retention.Keep.Spans(), name)) }))
	}
	return append(keys, Key{"retention.prune", "prune", "duration", "24h",
		"whether what no backup needs is then taken out of the cloud: true, false, or true but so far apart at least", "false",
		choice, func(c *Config) value { return (*prune)(&c.Retention) }})
}

// What durations are at most.
const (
	longestQuiet = 24 * time.Hour
	longestPause = 366 * 24 * time.Hour
)

// keepKey returns the key of one rule.
func keepKey(rule, form, example, about string, kind kind, field func(*Config) value) Key {
	flag := "keep-" + rule
	return Key{"retention." + strings.ReplaceAll(flag, "-", "_"), flag, form, example, about, "no such rule", kind, field}
}

// unitOf returns hour for hourly.
func unitOf(rule string) string {
	if rule == "daily" {
		return "day"
	}
	return strings.TrimSuffix(rule, "ly")
}

// find returns the value of a name.
func find[T any](all iter.Seq2[string, *T], name string) *T {
	for n, v := range all {
		if n == name {
			return v
		}
	}
	return nil
}

// lookUp returns the key of a name.
func lookUp(keys []Key, name string) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}
