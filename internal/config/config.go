// Package config reads the settings of cairn: from flags, from the environment,
// and from one file in TOML, in this order of precedence.
//
//	loaded, err := config.Load(config.Request{File: *file, Flags: map[string]string{"data": *data}})
//	loaded.Data                // what is in force
//	loaded.Origin("data")      // and where it comes from
//
// A key of the file that it does not know is an error, as is a value that it
// cannot use. docs/configuration.md is for those who write the file.
package config

import (
	"log/slog"
	"time"

	"cairn"
)

// Config is what can be set. The zero value of what a comment does not tell
// otherwise is the default.
type Config struct {
	// Data is the data folder. Paths here are as they were given, but those of
	// the file are absolute: they are relative to its folder there, and may
	// begin with ~/ for the user's. "" is the usual one.
	Data string
	// Listen is the one address to listen on, or unix: and the path of a socket; ""
	// for the usual ones.
	Listen string
	// AllowOrigins are origins whose pages may use the daemon, and AllowHosts names
	// and addresses that it may be called, besides those of loopback.
	AllowOrigins, AllowHosts []string
	// TokenFile is the file with the token that requests over TCP must show; "" for
	// none.
	TokenFile string
	// TLSCert and TLSKey are the files with the certificate and its key, in PEM; ""
	// for no TLS.
	TLSCert, TLSKey string
	// Cloud is the place for backups, a path or a URL; "" for cloud in the data
	// folder.
	Cloud string
	// Key is the file with the key of the cloud; "" for what the data folder has.
	Key string
	// LogLevel is what is logged. The default is info.
	LogLevel slog.Level

	Backup    Backup
	Retention Retention
}

// Backup says when backups are made by themselves: never, if neither Schedule
// nor Quiet is set.
type Backup struct {
	// Schedule is a cron expression of five fields, in local time; "" is never.
	Schedule string
	// Quiet is how long after the last change a backup is made, at most a day;
	// 0 is never.
	Quiet time.Duration
	// AtMostEvery is how long after a backup that Quiet had made the next one
	// of these may be; the default is an hour.
	AtMostEvery time.Duration
}

// IsAutomatic reports whether backups are made by themselves.
func (b Backup) IsAutomatic() bool { return b.Schedule != "" || b.Quiet > 0 }

// Retention says which backups of this device stay when one has been made by
// itself.
type Retention struct {
	// Keep are the rules; without any, all stay.
	Keep cairn.Retention
	// Prune has what no backup needs any more taken out of the cloud after
	// that, but at most every PruneEvery, which is 0 or more.
	Prune      bool
	PruneEvery time.Duration
}

// defaults returns what is in force when nothing is set.
func defaults() Config {
	return Config{Backup: Backup{AtMostEvery: time.Hour}}
}
