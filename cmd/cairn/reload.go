package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"cairn/internal/config"
	"cairn/internal/httpapi"
	"cairn/internal/schedule"
)

// hangUps returns a channel that gets a value when the daemon is asked to read its
// configuration again, and what ends that.
func hangUps() (asked chan os.Signal, stop func()) {
	asked = make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	return asked, func() { signal.Stop(asked) }
}

// reloads has the configuration read again whenever that is asked for, until the
// function that it returns is called, which waits for that.
func (d *daemonProcess) reloads(asked <-chan os.Signal, handler *httpapi.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
				d.reload(handler)
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// reload reads the configuration again, and what it names, and applies what can be
// applied: all of it, or nothing when something is wrong.
func (d *daemonProcess) reload(handler *httpapi.Server) {
	loaded, found, cron, err := d.readAgain()
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range problems {
			d.log.Error("the configuration has an error: nothing of it was applied", "problem", p.String())
		}
		return
	}
	if err != nil {
		d.log.Error("the configuration could not be read again: nothing of it was applied", "err", err)
		return
	}
	c := loaded.Config
	d.level.Set(c.LogLevel)
	d.scheduler.Configure(cron, c.Backup.Quiet, c.Backup.AtMostEvery)
	d.reloaded.Store(&c)
	handler.SetRetention(c.Retention.Keep)
	if hasToken(c) != hasToken(d.config) {
		found.token = d.credentials.token // else the commands could not reach it, or everybody could
	}
	d.credentials.token = found.token
	handler.SetAccess(access(c, found))
	if found.certificate != nil {
		d.certificate.Store(found.certificate)
	}
	d.log.Info("the configuration was read again", "file", loaded.File)
	if needed := d.needRestart(c); len(needed) > 0 {
		d.log.Warn("some changes of the configuration take a restart", "keys", strings.Join(needed, ", "))
	}
}

// readAgain reads what reload applies.
func (d *daemonProcess) readAgain() (loaded *config.Loaded, found credentials, cron *schedule.Cron, err error) {
	if loaded, err = loadConfig(d.request); err != nil {
		return nil, found, nil, err
	}
	if found, err = loadCredentials(loaded.Config, d.log); err != nil {
		return nil, found, nil, err
	}
	cron, err = cronOf(loaded.Backup)
	return loaded, found, cron, err
}

// cronOf returns the times of backups; nil for none.
func cronOf(b config.Backup) (*schedule.Cron, error) {
	if b.Schedule == "" {
		return nil, nil
	}
	return schedule.ParseCron(b.Schedule)
}

// isReloaded reports whether reload applies a change of a key.
func isReloaded(name string) bool {
	switch name {
	case "log_level", "allow_origins", "allow_hosts":
		return true
	}
	return strings.HasPrefix(name, "backup.") || strings.HasPrefix(name, "retention.")
}

// needRestart returns the keys that differ from those that the daemon was started
// with, and take a restart.
func (d *daemonProcess) needRestart(now config.Config) (names []string) {
	for _, key := range config.Keys() {
		before, after := key.Text(&d.config), key.Text(&now)
		switch key.Name {
		case "token_file", "tls_cert", "tls_key": // another file is fine, but no more and no fewer
			if (before != "") == (after != "") {
				continue
			}
		}
		if before != after && !isReloaded(key.Name) {
			names = append(names, key.Name)
		}
	}
	return names
}

// retention returns the rules in force.
func (d *daemonProcess) retention() config.Retention {
	if c := d.reloaded.Load(); c != nil {
		return c.Retention
	}
	return d.config.Retention
}

// newLog returns a log whose level can be changed.
func newLog(w io.Writer, level slog.Level) (*slog.Logger, *slog.LevelVar) {
	at := new(slog.LevelVar)
	at.Set(level)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: at})), at
}
