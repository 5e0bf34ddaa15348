package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn"
	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

// A ledger looks at what is stored behind a front: no object may be replaced by
// another one.
type ledger struct {
	t testing.TB

	mu   sync.Mutex
	puts map[string]string // hash of what was stored, by key
}

// handler is inner, watched.
func (l *ledger) handler(inner s3server.Handler) s3server.Handler {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		request := s3server.RequestOf(r)
		hash := r.Header.Get("X-Amz-Content-Sha256")
		answer := &statusWriter{ResponseWriter: w}
		if inner == nil {
			forward.ServeHTTP(answer, r)
		} else {
			inner(answer, r, forward)
		}
		if answer.status/100 != 2 {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		switch before, ok := l.puts[request.Key]; {
		case request.Op == "delete":
			delete(l.puts, request.Key)
		case request.Op == "put" && ok && before != hash:
			l.t.Errorf("%s was replaced by another object", request.Key)
		case request.Op == "put":
			l.puts[request.Key] = hash
		}
	}
}

// A statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets an http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestWeakClouds has two devices back up to stores that promise less than S3, at
// the same time. What one of them has made is in its own next list, and soon in
// that of the other; nothing is replaced; all of it can be restored.
func TestWeakClouds(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	const lag = 5 * time.Second
	for name, handler := range map[string]s3server.Handler{
		"conditions are ignored": s3server.WithoutConditions,
		"conditions are refused": s3server.RefuseConditions,
		"lists are late":         s3server.StaleLists(lag),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &ledger{t: t, puts: map[string]string{}}
			front := s3server.NewFront(t, s, l.handler(handler))
			cloud := harness.Options{Args: []string{"--cloud", s3URL(front.URL, s.Bucket(t))}, Env: s.Env()}
			first := harness.Start(t, cloud)
			cloud.Args = append(cloud.Args, "--key", saveCloudKey(t, first))
			devices := []*device{{d: first}, {d: harness.Start(t, cloud)}}
			for round := range 3 {
				var working sync.WaitGroup
				for i, device := range devices {
					storeDocuments(t, device.d, oddAsset(fmt.Sprint("of ", i, " in ", round), `"text"`, ""))
					working.Go(func() { device.work(t, round) })
				}
				working.Wait()
			}
			wait := time.Now().Add(2 * lag)
			for _, device := range devices {
				for _, other := range devices {
					for _, b := range other.made {
						for !slices.Contains(device.list(t), b.id) {
							if time.Now().After(wait) {
								t.Fatalf("%s of %s is not in the list of the other device", b.id, other.d.Data)
							}
							time.Sleep(100 * time.Millisecond) // the store tells when it likes
						}
						if _, err := client.New(device.d.URL).RestoreBackup(t.Context(), b.id); err != nil {
							t.Errorf("restoring %s: %v", b.id, err)
						}
						if got := databaseStatus(t, device.d).Digest; got != b.digest {
							t.Errorf("%s restores to %s, want %s", b.id, got, b.digest)
						}
					}
				}
			}
		})
	}
}

// A device is a daemon, and the backups that it has made and not deleted.
type device struct {
	d    *harness.Daemon
	made []madeBackup
}

type madeBackup struct{ id, digest string }

// list returns the ids of the backups that the daemon lists.
func (d *device) list(t *testing.T) (ids []string) {
	backups, err := client.New(d.d.URL).Backups(t.Context())
	if err != nil {
		t.Errorf("listing backups: %v", err)
	}
	for _, b := range backups {
		ids = append(ids, b.ID)
	}
	return ids
}

// work makes two backups and deletes one, and looks after each.
func (d *device) work(t *testing.T, round int) {
	c := client.New(d.d.URL)
	for range 2 {
		b, err := c.CreateBackup(t.Context())
		if err != nil {
			t.Errorf("round %d: creating a backup: %v", round, err)
			return
		}
		d.made = append(d.made, madeBackup{b.ID, databaseStatus(t, d.d).Digest})
		d.check(t)
	}
	deleted := d.made[0]
	d.made = d.made[1:]
	if err := c.DeleteBackup(t.Context(), deleted.id); err != nil {
		t.Errorf("round %d: deleting %s: %v", round, deleted.id, err)
	}
	if slices.Contains(d.list(t), deleted.id) {
		t.Errorf("round %d: %s is listed after it was deleted", round, deleted.id)
	}
	if _, err := c.RestoreBackup(t.Context(), deleted.id); cairn.CodeOf(err) != cairn.CodeBackupNotFound {
		t.Errorf("round %d: restoring %s, which was deleted: %v", round, deleted.id, err)
	}
	d.check(t)
}

// check looks for what the device has made in its list.
func (d *device) check(t *testing.T) {
	list := d.list(t)
	for _, b := range d.made {
		if !slices.Contains(list, b.id) {
			t.Errorf("%s is not listed by the device that made it, but %q", b.id, strings.Join(list, ", "))
		}
	}
}
