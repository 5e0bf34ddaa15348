package test

import (
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestTwoDaemons has two computers back up to one cloud, at the same time too: each
// lists what the other one made, with the name of that, and restores it.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		anvil := cloud.serve(t, harness.Options{Under: asDevice(t, "anvil")})
		key := saveCloudKey(t, anvil)
		bellows := cloud.serve(t, harness.Options{Under: asDevice(t, "bellows"), Args: []string{"--key", key}})
		devices := map[string]*harness.Daemon{"anvil": anvil, "bellows": bellows}
		made := map[string]api.BackupDetails{} // by id
		for round := range 5 {
			for name, d := range devices {
				storeDocuments(t, d, oddAsset(fmt.Sprint(name, " ", round), `"text"`, ""))
			}
			maps.Copy(made, createTogether(t, devices))
			want := map[string]string{}
			for id, b := range made {
				want[id] = b.DeviceName + " " + b.Platform
			}
			for name, d := range devices {
				list, err := client.New(d.URL).Backups(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]string{}
				for _, b := range list {
					got[b.ID] = b.DeviceName + " " + b.Platform
				}
				if diff := cmp.Diff(want, got); diff != "" || len(list) != len(got) {
					t.Errorf("round %d: %s lists %d backups (-made +listed):\n%s", round, name, len(list), diff)
				}
				stdout, stderr, code := harness.Cairn(t, d.Env(), "backup", "list")
				if got := listedDevices(stdout); code != 0 || !maps.Equal(got, want) {
					t.Errorf("round %d: cairn backup list on %s: exit code %d, with the devices %v, want %v\n%s%s", round, name, code, got, want, stdout, stderr)
				}
			}
		}
		if len(made) != 10 {
			t.Errorf("%d backups were made, want 10", len(made))
		}
		for name, d := range devices {
			before, restored := databaseStatus(t, d), 0
			for _, id := range slices.Sorted(maps.Keys(made)) {
				if made[id].DeviceName == name {
					continue
				}
				restoreVerb(t, d, id)
				if got := databaseStatus(t, d); got.Digest != made[id].Digest || got.Documents != made[id].Documents || got.Digest == before.Digest {
					t.Errorf("on %s the backup %+v is restored as %+v", name, made[id], got)
				}
				if err := client.New(d.URL).UndoRestore(t.Context()); err != nil {
					t.Fatal(err)
				}
				restored++
			}
			if got := databaseStatus(t, d); got != before || restored != 5 {
				t.Errorf("after %d restorations, each undone, the database of %s is %+v, and was %+v", restored, name, got, before)
			}
		}
	})
}

// createTogether has each device make a backup at the same time, and returns what
// the devices say of theirs, by id.
func createTogether(t *testing.T, devices map[string]*harness.Daemon) map[string]api.BackupDetails {
	t.Helper()
	type outcome struct {
		name string
		b    api.Backup
		err  error
	}
	outcomes, start := make(chan outcome), make(chan struct{})
	for name, d := range devices {
		go func() {
			<-start
			b, err := client.New(d.URL).CreateBackup(t.Context())
			outcomes <- outcome{name, b, err}
		}()
	}
	close(start)
	made := map[string]api.BackupDetails{}
	for range devices {
		o := <-outcomes
		if o.err != nil {
			t.Errorf("%s creates a backup: %v", o.name, o.err)
			continue
		}
		details, err := client.New(devices[o.name].URL).BackupDetails(t.Context(), o.b.ID)
		st := databaseStatus(t, devices[o.name])
		if err != nil || o.b.DeviceName != o.name || o.b.Platform != "LINUX" || details.Backup != o.b || details.Digest != st.Digest {
			t.Errorf("%s has made the backup %+v of %+v: %+v, %v", o.name, o.b, st, details, err)
		}
		made[o.b.ID] = details
	}
	return made
}

// listedDevices returns, by id, the device and the platform that a printed list of
// backups has.
func listedDevices(stdout string) map[string]string {
	devices := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\S+) .* ([A-Z]+) +(\S+)$`).FindAllStringSubmatch(stdout, -1) {
		devices[m[1]] = m[3] + " " + m[2]
	}
	return devices
}

// asDevice returns a command that becomes another one on a computer of that name,
// for [harness.Options].
func asDevice(t *testing.T, name string) []string {
	t.Helper()
	var refusals []string
	for _, rights := range []string{"--uts", "--user --map-root-user --uts"} {
		under := []string{"/bin/sh", "-c", `exec unshare ` + rights + ` /bin/sh -c 'hostname "$0" && exec "$@"' "$0" "$@"`, name}
		out, err := exec.CommandContext(t.Context(), under[0], append(under[1:], "hostname")...).CombinedOutput()
		if err == nil && string(out) == name+"\n" {
			return under
		}
		refusals = append(refusals, fmt.Sprintf("%v: %s", err, out))
	}
	skipOrFail(t, fmt.Sprintf("this user may give a computer no name: %q", refusals))
	return nil
}
