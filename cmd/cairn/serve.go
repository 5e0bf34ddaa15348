package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
	"cairn/internal/asset"
	"cairn/internal/backup"
	"cairn/internal/config"
	"cairn/internal/connection"
	"cairn/internal/database"
	"cairn/internal/device"
	"cairn/internal/durable"
	"cairn/internal/httpapi"
	"cairn/internal/jobs"
	"cairn/internal/keys"
	"cairn/internal/metrics"
	"cairn/internal/schedule"
	"cairn/internal/web"
)

// drainTime is how long requests under way may take when the daemon stops.
const drainTime = 10 * time.Second

// stuckTime is how long after that requests and jobs may take to hear that they
// are cut off. What then still goes on may never: it may wait for a disk on a
// server that is gone.
const stuckTime = 15 * time.Second

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "start the daemon",
		Long: `Starts the daemon on this machine's loopback addresses: port 1000 where it can
be bound, and the first free of 39300 to 39333. It prints a line for each
address and runs until it is interrupted.

What no flag says is taken from the environment, then from the configuration
file; cairn config check shows what is in force.`,
		Args: takes(),
	}
	at := dataFlag(cmd)
	flags := settingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		request := config.Request{File: at.config, Flags: flags(), Checks: checks()}
		settings, err := loadConfig(request)
		if err != nil {
			return err // before the data folder is touched
		}
		dir, err := absolute(settings.Data)
		if err != nil {
			return err
		}
		d := daemonProcess{
			dir:     dir,
			config:  settings.Config,
			request: request,
			stdout:  cmd.OutOrStdout(),
		}
		d.log, d.level = newLog(cmd.ErrOrStderr(), settings.LogLevel)
		if settings.File != "" {
			d.log.Info("configured", "file", settings.File)
		}
		if settings.Key != "" {
			if d.identity, err = keys.Read(settings.Key); err != nil {
				return err
			}
		}
		return d.run(cmd.Context())
	}
	return cmd
}

// daemonProcess is one run of the daemon: what it opens, in this order, it
// closes in the opposite one.
type daemonProcess struct {
	dir      string
	config   config.Config       // that it was started with
	request  config.Request      // which reads it again
	identity *age.X25519Identity // from --key; nil without
	log      *slog.Logger
	level    *slog.LevelVar // of log
	stdout   io.Writer

	credentials credentials                     // that are in force; reload changes them
	certificate atomic.Pointer[tls.Certificate] // that is in force; nil without TLS
	reloaded    atomic.Pointer[config.Config]   // that was read since; nil when none was

	lock      *durable.FileLock
	device    *device.Device
	database  *database.DB
	engine    *backup.Engine
	clouds    *connection.Connections
	user      httpapi.Signal // raised when something may have changed of the user
	metrics   *metrics.Metrics
	scheduler *schedule.Scheduler
	jobs      *jobs.Jobs
	listeners []listener
	stuck     bool // something still goes on after drain
}

// ballastBytes is memory that is never touched, and therefore never taken from
// the system. What the daemon keeps is so little that Go would collect garbage
// hundreds of times for one long list; it waits until the heap has doubled, and
// this makes it larger.
const ballastBytes = 8 << 20

// memoryLimit is what Go should get by with, in bytes: near it, it collects
// garbage more often instead of letting the heap double. A backup or restoration
// needs about half of it. It is a soft limit: larger documents get their memory.
const memoryLimit = 112 << 20

// run serves until ctx ends.
func (d *daemonProcess) run(ctx context.Context) (err error) {
	asked, ignore := hangUps()
	defer ignore()
	if os.Getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLimit))
	}
	ballast := make([]byte, ballastBytes)
	defer runtime.KeepAlive(ballast)
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx); err != nil {
		return err
	}
	page, err := web.New(web.Config{Status: d.status, Stats: d.database.Stats, Last: d.engine.Last, Cloud: d.engine.Cloud})
	if err != nil {
		return err
	}
	handler := httpapi.New(httpapi.Config{
		Documents: d.database,
		Device:    d.device,
		Backups:   d.engine,
		Clouds:    d.clouds,
		User:      &d.user,
		Jobs:      d.jobs,
		Access:    access(d.config, d.credentials),
		Retention: d.config.Retention.Keep,
		Contents:  d.engine,
		Spool:     filepath.Join(d.dir, spoolFolder),
		Page:      page,
		Metrics:   d.metrics.Handler(),
		Observe:   d.metrics.Request,
		Status:    d.status,
		Log:       d.log,
	})
	life, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := newServer(life, handler, d.log)
	failed := make(chan error, len(d.listeners))
	var serving sync.WaitGroup
	defer serving.Wait()
	for _, l := range d.listeners {
		serving.Go(func() { failed <- server.Serve(l) })
	}
	defer d.reloads(asked, handler)()
	unschedule := d.startSchedule(ctx)
	if err := d.announce(); err != nil {
		return errors.Join(err, d.drain(server, handler, unschedule, cancel))
	}
	select {
	case <-ctx.Done():
		d.log.Info("stopping")
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	}
	return errors.Join(err, d.drain(server, handler, unschedule, cancel))
}

// open takes the data folder and opens what is in it, then the addresses.
func (d *daemonProcess) open(ctx context.Context) (err error) {
	if err := durable.MkdirAll(d.dir); err != nil {
		return cairn.FileError("creating", d.dir, err)
	}
	if err := d.keepFolders(); err != nil {
		return err
	}
	d.lock, err = durable.Lock(filepath.Join(d.dir, lockFile))
	if errors.Is(err, durable.ErrLocked) {
		return &cairn.Error{
			Code:    cairn.CodeInUse,
			Message: "Another cairn daemon already runs on the data folder " + d.dir + ".",
			Hint:    "Use that one (cairn status shows it), stop it first, or choose another folder with --data.",
		}
	}
	if err != nil {
		return cairn.FileError("locking", d.dir, err)
	}
	// That of a daemon that a crash ended. The address may be another's by now.
	path := filepath.Join(d.dir, urlFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return cairn.FileError("removing", path, err)
	}
	if d.device, err = device.Open(ctx, device.Config{Dir: d.dir}); err != nil {
		return err
	}
	if d.device.Copied() {
		d.log.Warn("this data folder was copied from another machine: it goes on as an installation of its own")
	}
	d.database, err = database.Open(ctx, database.Config{
		Dir:          d.dir,
		Installation: d.device.Installation(),
		References:   references,
		Log:          d.log,
	})
	if err != nil {
		return err
	}
	if err := d.watch(); err != nil {
		return err
	}
	if err := d.openCloud(ctx); err != nil {
		return err
	}
	return d.openAddresses()
}

// references leads from the formats of an asset to it.
func references(collection string, json []byte) []string {
	if collection != cairn.CollectionAssets {
		return nil
	}
	return asset.FormatIDs(json)
}

// announce says where the daemon listens: on standard output, a line for each
// address, and in the data folder.
func (d *daemonProcess) announce() error {
	path := filepath.Join(d.dir, urlFile)
	if err := durable.WriteFile(path, []byte(commandsURL(d.listeners)+"\n")); err != nil {
		return cairn.FileError("writing", path, err)
	}
	for _, url := range d.urls() {
		if _, err := fmt.Fprintf(d.stdout, "listening on %s\n", url); err != nil {
			return fmt.Errorf("telling the address: %w", err)
		}
	}
	return nil
}

func (d *daemonProcess) urls() []string {
	var urls []string
	for _, l := range d.listeners {
		urls = append(urls, l.url)
	}
	return urls
}

func (d *daemonProcess) status() api.Status {
	return api.Status{
		Version: version, Platform: cairn.Platform(runtime.GOOS), Data: d.dir, URLs: d.urls(), SignedOut: !d.device.SignedIn(),
		Automatic: automaticOf(d.scheduler.Status()),
	}
}

// drain stops the server: no new work, streams ended, requests under way
// finished, within drainTime. When it returns, no handler and no job runs any
// more, unless d.stuck.
func (d *daemonProcess) drain(server *http.Server, handler *httpapi.Server, unschedule, cut context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		var closing sync.WaitGroup
		closing.Go(handler.Close)
		closing.Go(unschedule)
		closing.Go(d.jobs.Close) // their requests get an answer, and their streams an end
		closing.Wait()
		close(ended)
	}()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		d.log.Warn("cutting off requests that did not end", "after", drainTime)
		err = server.Close()
	}
	// Shutdown does not wait for websockets, which say goodbye first.
	select {
	case <-ended:
	case <-ctx.Done():
	}
	cut()
	quiet := make(chan struct{})
	go func() {
		<-ended
		handler.Wait()
		close(quiet)
	}()
	select {
	case <-quiet:
		return err
	case <-time.After(stuckTime):
	}
	d.stuck = true
	return errors.Join(err, &cairn.Error{
		Code:    cairn.CodeInternal,
		Message: "A backup, a restoration or a request did not end: the disk of the data folder or the cloud, " + d.place().URL + ", does not answer. The daemon ends without it.",
		Hint:    "Nothing that was acknowledged is lost: the next start does what a start after a crash does. See whether both can be reached.",
	})
}

// close gives back what open took. When something is stuck it may still use the
// databases, so they are left as a crash would leave them, and the lock is held
// until the process is gone.
func (d *daemonProcess) close() error {
	var errs []error
	for _, l := range d.listeners {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if d.jobs != nil && !d.stuck {
		d.jobs.Close()
	}
	if d.database != nil && !d.stuck {
		errs = append(errs, d.database.Close())
	}
	if d.device != nil && !d.stuck {
		errs = append(errs, d.device.Close())
	}
	if d.lock != nil {
		if err := os.Remove(filepath.Join(d.dir, urlFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			d.log.Warn("the file url could not be removed", "err", err)
		}
		if !d.stuck {
			errs = append(errs, d.lock.Close())
		}
	}
	return errors.Join(errs...)
}
