package test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

// ageSecretKey is how each key of age begins: that much is public.
const ageSecretKey = "AGE-SECRET-KEY-1"

// A canaryWalk walks through all that touches secrets, and keeps what it sees.
type canaryWalk struct {
	t       *testing.T
	dir     string            // of the files with secrets
	secrets map[string]string // by name
	seen    evidence
	files   int
	d       *harness.Daemon // of the commands
}

func newCanaryWalk(t *testing.T) *canaryWalk {
	return &canaryWalk{t: t, dir: t.TempDir(), secrets: map[string]string{}, seen: evidence{}}
}

// secret keeps a secret in mind, and returns a file with it.
func (w *canaryWalk) secret(name, text string) (file string) {
	w.t.Helper()
	w.secrets[name] = strings.TrimPrefix(text, ageSecretKey)
	w.files++
	file = filepath.Join(w.dir, fmt.Sprint(w.files, ".txt"))
	write(w.t, file, text+"\n")
	return file
}

// key keeps a key in mind, its bytes as well, and returns a file with it.
func (w *canaryWalk) key(name, text string) (file string) {
	w.t.Helper()
	w.secrets["the bytes of "+name] = scalarOf(w.t, text)
	return w.secret(name, text)
}

// keepKeys keeps the keys of a data folder in mind, and returns files with them by the
// ids of the clouds.
func (w *canaryWalk) keepKeys(data string) (files map[string]string) {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(data, "keys"))
	if err != nil {
		w.t.Fatal(err)
	}
	files = map[string]string{}
	for _, entry := range entries {
		b, err := os.ReadFile(filepath.Join(data, "keys", entry.Name()))
		if err != nil {
			w.t.Fatal(err)
		}
		if key := regexp.MustCompile(ageSecretKey + "[0-9A-Z]+").Find(b); key != nil {
			files[entry.Name()] = w.key("the key of "+entry.Name(), string(key))
		}
	}
	return files
}

// serve starts a daemon that logs all, to which the commands speak from now on.
func (w *canaryWalk) serve(o harness.Options) *harness.Daemon {
	w.t.Helper()
	o.Args = append(o.Args, "--log-level", "debug")
	w.d = harness.Start(w.t, o)
	w.arguments(w.d.PID)
	return w.d
}

// arguments looks at the arguments of a process and of those that it has started.
func (w *canaryWalk) arguments(pid int) {
	w.t.Helper()
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may be gone
	w.seen.add("arguments", append(b, '\n')...)
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range children {
		pids, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(pids)) {
			b, _ := os.ReadFile("/proc/" + child + "/cmdline")
			w.seen.add("arguments", append(b, '\n')...)
		}
	}
}

// run runs a command, which must end with a code, and returns its standard output.
func (w *canaryWalk) run(code int, args ...string) (stdout string) {
	w.t.Helper()
	stdout = w.runMeant(code, nil, args...)
	w.seen.add("standard output of cairn "+strings.Join(args, " "), []byte(stdout)...)
	return stdout
}

// both runs a command as it is, and again with --json.
func (w *canaryWalk) both(code int, args ...string) {
	w.t.Helper()
	w.run(code, args...)
	w.run(code, append(args, "--json")...)
}

// runMeant runs a command that is meant to print a secret on standard output, where
// it is not looked for.
func (w *canaryWalk) runMeant(code int, env []string, args ...string) string {
	w.t.Helper()
	cmd := harness.Command(w.t, slices.Concat(w.d.Env(), env), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.arguments(cmd.Process.Pid)
	w.arguments(w.d.PID)
	_ = cmd.Wait() // the code says it
	line := strings.Join(args, " ")
	w.seen.add("arguments", []byte(strings.Join(cmd.Args, " ")+"\n")...)
	w.seen.add("standard error of cairn "+line, stderr.Bytes()...)
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.t.Errorf("cairn %s: %d, want %d\n%s%s", line, got, code, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// ask asks the daemon, and returns the status.
func (w *canaryWalk) ask(method, path, body string, header ...string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.d.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	path, _, _ = strings.Cut(path, "?")
	w.seen.add(fmt.Sprintf("answer %d of %s %s", answer.StatusCode, method, path), []byte(fmt.Sprint(answer.Header, "\n", string(text), "\n"))...)
	return answer.StatusCode
}

// collect looks at the log of a daemon and the files of its data folder.
func (w *canaryWalk) collect(name string, d *harness.Daemon) {
	w.t.Helper()
	w.seen.add("log of "+name, []byte(d.Stderr())...)
	w.seen.add("standard output of "+name, []byte(d.Stdout())...)
	w.seen.addTree(w.t, "data folder of "+name, d.Data, isKeyFile)
}

// textOf returns the line in a file.
func textOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// mistyped returns a secret with another character in its middle.
func mistyped(secret string) string {
	b := []byte(secret)
	for i := len(b) / 2; ; i++ {
		if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] = 'A' + (b[i]-'A'+1)%26
			return string(b)
		}
	}
}

// somePassphrase returns one with characters that are written in other ways in JSON,
// logs and URLs.
func somePassphrase() string {
	text := rand.Text()
	return text[:8] + `" %` + text[8:16] + `\é&` + text[16:]
}

// TestNoSecretIsTold uses all that has to do with secrets, well and wrongly, and looks
// for them in all that is told and kept.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	w := newCanaryWalk(t)
	s := s3server.Shared(t)
	cloud := bucketOf(t, s)
	user, secret := s.User(t)
	s.Policy(t, cloud.bucket, fmt.Sprintf(`{"Statement": [{"Effect": "Allow", "Principal": {"AWS": [%q]}, "Action": "s3:*",
		"Resource": ["arn:aws:s3:::%s", "arn:aws:s3:::%s/*"]}]}`, user, cloud.bucket, cloud.bucket))
	w.secret("the S3 secret", secret)
	env := append(s.Env(), "AWS_ACCESS_KEY_ID="+user, "AWS_SECRET_ACCESS_KEY="+secret, "DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(w.dir, "none"))

	token := rand.Text() + rand.Text()
	w.secret("the token", token)
	config := filepath.Join(w.dir, "config.toml")
	write(t, config, "")
	one := w.serve(harness.Options{Env: append(env, "CAIRN_TOKEN="+token), Args: []string{"--config", config}})
	now, key := w.firstDevice(cloud)
	identity := textOf(t, key)
	w.wrongRequests(token, textOf(t, now), identity, token, secret)
	w.wrongURLs(token, secret, cloud)
	for _, path := range []string{"/metrics", "/v1/status", "/v1/daemon", "/v1/cloud", "/v1/clouds", "/v1/cloud/passphrases", "/v1/jobs", "/v1/backups", "/user"} {
		if status := w.ask("GET", path, "", "Authorization", "Bearer "+token); status != 200 {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	w.wrongTokens(token)
	w.brokenConfig(&reloaded{Daemon: one, t: t, file: config}, token, identity)

	tokenFile := filepath.Join(w.dir, "token of two")
	two := w.serve(harness.Options{Env: env, Args: []string{"--token-file", tokenFile}})
	w.secret("the token that was made", textOf(t, tokenFile))
	w.secondDevice(cloud, now, key)

	session := rand.Text() + rand.Text()
	w.secret("the session token", session)
	w.secret("a wrong S3 secret", mistyped(secret))
	three := w.serve(harness.Options{
		Env:  append(env, "AWS_SECRET_ACCESS_KEY="+mistyped(secret), "AWS_SESSION_TOKEN="+session),
		Args: []string{"--cloud", cloud.url},
	})
	w.both(0, "status")
	w.both(6, "backup", "create")
	w.both(0, "cloud", "status")
	slow := w.slowDevice(s)

	for name, d := range map[string]*harness.Daemon{"one": one, "two": two, "three": three, "slow": slow} {
		w.collect(name, d)
	}
	w.seen.addTree(t, "bucket", s.Dir(cloud.bucket), func(string) bool { return false })
	w.check(one.Data, s.Dir(cloud.bucket))
}

// firstDevice makes a cloud and goes through its passphrases. It returns the files of
// the passphrase that is left, and of the key.
func (w *canaryWalk) firstDevice(cloud place) (passphrase, key string) {
	w.t.Helper()
	note := filepath.Join(w.dir, "note.md")
	write(w.t, note, "# Note\n")
	before, now := somePassphrase(), somePassphrase()
	old, passphrase := w.secret("the old passphrase", before), w.secret("the new passphrase", now)
	wrong, short := w.secret("a wrong passphrase", mistyped(now)), w.secret("a short passphrase", rand.Text()[:14])

	local := w.keepKeys(w.d.Data)
	w.run(0, "assets", "add", note)
	w.run(6, "cloud", "connect", cloud.url)
	w.run(0, "cloud", "connect", cloud.url, "--create")
	for id, file := range w.keepKeys(w.d.Data) {
		if local[id] == "" {
			key = file
		}
	}
	if key == "" {
		w.t.Fatal("the cloud has no key")
	}
	w.both(1, "cloud", "passphrase", "add", "--passphrase-file", short)
	w.run(0, "cloud", "passphrase", "add", "--passphrase-file", old)
	w.run(0, "cloud", "passphrase", "change", "--old-passphrase-file", old, "--new-passphrase-file", passphrase, "--json")
	w.run(6, "cloud", "passphrase", "change", "--old-passphrase-file", wrong, "--new-passphrase-file", old)
	var made struct{ Passphrase string }
	if err := json.Unmarshal([]byte(w.runMeant(0, nil, "cloud", "passphrase", "add", "--generate", "--json")), &made); err != nil {
		w.t.Fatal(err)
	}
	w.run(0, "cloud", "passphrase", "remove", "--passphrase-file", w.secret("the generated passphrase", made.Passphrase))
	w.both(0, "cloud", "passphrase", "list")
	w.looks()
	w.both(0, "backup", "create")
	id := regexp.MustCompile(`0\.1\.0_\w+\.\d+Z`).FindString(w.run(0, "backup", "list"))
	for _, args := range [][]string{{"show"}, {"verify"}, {"restore"}, {"documents"}} {
		w.both(0, append([]string{"backup"}, append(args, id)...)...)
	}
	w.runMeant(0, nil, "cloud", "recovery-kit")
	w.run(1, "cloud", "recovery-kit", "--acknowledge", "0000-0000")
	w.run(6, "cloud", "key", "--store", "keychain")
	w.run(0, "cloud", "key", "--store", "file")
	w.runMeant(0, nil, "cloud", "key")
	return passphrase, key
}

// looks runs what looks at a device and changes nothing.
func (w *canaryWalk) looks() {
	w.t.Helper()
	w.both(0, "status")
	w.both(0, "cloud", "status")
	w.both(0, "cloud", "list")
	w.both(0, "cloud", "check")
	w.both(0, "backup", "list")
	w.both(0, "config", "check")
}

// secondDevice opens the cloud with what is wrong and what is right.
func (w *canaryWalk) secondDevice(cloud place, passphrase, key string) {
	w.t.Helper()
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		w.t.Fatal(err)
	}
	foreign := w.key("the key of another cloud", stranger.String())
	typo := w.secret("a mistyped key", mistyped(textOf(w.t, key)))
	wrong := w.secret("another wrong passphrase", somePassphrase())
	w.keepKeys(w.d.Data)

	w.run(6, "cloud", "connect", cloud.url)
	w.run(6, "cloud", "connect", cloud.url, "--passphrase-file", wrong)
	w.both(6, "cloud", "connect", cloud.url, "--key", foreign)
	w.both(1, "cloud", "connect", cloud.url, "--key", typo)
	w.both(1, "cloud", "connect", cloud.url, "--key", passphrase)
	w.run(0, "cloud", "connect", cloud.url, "--passphrase-file", passphrase, "--json")
	w.looks()
	w.run(0, "backup", "create")
	w.run(0, "cloud", "lock")
	w.both(0, "status")
	w.both(0, "cloud", "status")
	w.both(6, "backup", "list")
	w.both(6, "cloud", "unlock", "--key", foreign)
	w.both(1, "cloud", "unlock", "--key", typo)
	w.run(0, "cloud", "unlock", "--key", key)
	w.run(0, "cloud", "lock", "--json")
	w.run(6, "cloud", "unlock", "--passphrase-file", wrong)
	w.run(0, "cloud", "unlock", "--passphrase-file", passphrase, "--json")
}

// wrongBodies are bodies that say nothing that can be done, with a place for a secret.
var wrongBodies = []string{
	`{"passphrase":[%s]}`, `{"passphrase":{%s:1}}`, `{"passphrase":%s`, `{"passphrase":%s,}`, `{"key":[%s]}`, `{"key":{"a":%s}}`, `{"new":{"a":%s}}`,
	`{"url":[%s]}`, `{"create":%s}`, `{"name":[%s]}`, `{"name":%s}`, `{"name":"x","old":%s}`, `{"passfrase":%s}`, `{"code":%s}`, `{"store":%s}`,
	`[%s]`, `%s`, `x%s`, `passphrase=%s`, `{"url":"nowhere://x","key":%s}`, `{"url":"file:///proc/none/x","passphrase":%s,"key":"AGE-SECRET-KEY-1"}`,
}

// wrongRequests asks the daemon for what it cannot do, with secrets in the bodies.
func (w *canaryWalk) wrongRequests(token string, secrets ...string) {
	w.t.Helper()
	for _, secret := range secrets {
		quoted, _ := json.Marshal(secret) // a string always can be
		for _, path := range []string{"connect", "passphrases", "passphrases/change", "passphrases/remove", "key", "recovery-kit/acknowledge"} {
			bodies := []string{secret}
			for _, form := range wrongBodies {
				bodies = append(bodies, fmt.Sprintf(form, quoted))
			}
			for _, body := range bodies {
				if status := w.ask("POST", "/v1/cloud/"+path, body, "Authorization", "Bearer "+token); status < 400 {
					w.t.Errorf("POST /v1/cloud/%s takes %s: %d", path, body, status)
				}
			}
		}
	}
}

// wrongURLs connects to clouds whose URLs hold a secret of the bucket.
func (w *canaryWalk) wrongURLs(token, secret string, cloud place) {
	w.t.Helper()
	login := "AKIAEXAMPLE:" + secret
	for _, url := range []string{
		"s3://" + login + "@bucket/x", "s3://" + secret + "@bucket/x", "s3://" + login + "%zz", "s3://" + login + "/x", "https://" + login + "@store.example/bucket",
		"s3://" + cloud.bucket + "/x?secret_access_key=" + secret, "s3://bucket/x?region=%zz" + secret, "s3://bucket/x?endpoint=https://" + login + "@127.0.0.1:1",
		strings.Replace(cloud.url, "http://", "http://"+login+"@", 1), "azblob://container/x?storage_account=a&sas=" + secret, "gs://" + login + "@bucket",
	} {
		for _, create := range []bool{false, true} {
			body, _ := json.Marshal(map[string]any{"url": url, "create": create})
			if status := w.ask("POST", "/v1/cloud/connect", string(body), "Authorization", "Bearer "+token); status < 400 {
				w.t.Errorf("a URL with a secret is taken: %d", status)
			}
		}
		w.refused("CAIRN_CLOUD=" + url)
	}
}

// wrongTokens shows the daemon tokens that are wrong, or in a wrong place.
func (w *canaryWalk) wrongTokens(token string) {
	w.t.Helper()
	wrong := mistyped(token)
	w.secret("a wrong token", wrong)
	for _, header := range [][]string{
		{"Authorization", "Bearer " + wrong}, {"Authorization", token}, {"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+token))},
		{"Authorization", "Bearer " + wrong, "Origin", "https://evil.example"}, {"X-Token", token},
	} {
		if status := w.ask("POST", "/v1/cloud/passphrases", `{"passphrase":5}`, header...); status != 401 && status != 403 {
			w.t.Errorf("a wrong token is taken: %d", status)
		}
	}
	if status := w.ask("GET", "/v1/status?token="+token, ""); status != 401 {
		w.t.Errorf("a token in the URL is taken: %d", status)
	}
	w.ask("GET", "/assets?access_token="+token, "", "Authorization", "Bearer "+token)
	for code, urls := range map[int][]string{
		1: {w.d.URL},
		2: {strings.Replace(w.d.URL, "//", "//me:"+token+"@", 1), w.d.URL + "?token=" + token, "http://me:" + token + "@127.0.0.1:1", "http://me:" + token},
	} {
		for _, url := range urls {
			stdout := w.runMeant(code, []string{"CAIRN_URL=" + url, "CAIRN_TOKEN=" + wrong}, "status")
			w.seen.add("standard output of cairn status", []byte(stdout)...)
		}
	}
	w.refused("CAIRN_TOKEN=" + token[:20])
	w.refused("CAIRN_TOKEN=" + token + " " + token)
}

// refused starts a daemon that must not start.
func (w *canaryWalk) refused(env string) {
	w.t.Helper()
	stdout, stderr, code := harness.Cairn(w.t, []string{env, "CAIRN_DATA=" + w.t.TempDir()}, "serve", "--listen", "127.0.0.1:0", "--log-level", "debug")
	if code == 0 {
		w.t.Errorf("the daemon starts:\n%s", stderr)
	}
	name, _, _ := strings.Cut(env, "=")
	w.seen.add("what cairn serve says of a wrong "+name, []byte(stdout+stderr)...)
}

// brokenConfig has the daemon read configurations with a secret in them.
func (w *canaryWalk) brokenConfig(r *reloaded, secret, key string) {
	w.t.Helper()
	for _, text := range []string{
		"token = %q\n", "token_file = \"%s\n", "= %s", "%s", "[backup]\ntoken = [%q]\n", "cloud = [%q]\n", "cloud = \"s3://AKIAEXAMPLE:%s@bucket\"\n",
	} {
		text = fmt.Sprintf(text, secret)
		r.configure(text, "nothing of it was applied")
	}
	r.configure(fmt.Sprintf("key = %q\n", key), "nothing of it was applied")
	w.refused("CAIRN_KEY=" + key)
}

// slowDevice looks at the data folder of a daemon in the middle of a creation and a
// restoration.
func (w *canaryWalk) slowDevice(s *s3server.Server) *harness.Daemon {
	w.t.Helper()
	v := new(valve)
	cloud := bucketOf(w.t, s).behind(s3server.NewFront(w.t, s, v.handle))
	w.t.Cleanup(v.open)
	slow := &slowStore{cloud: cloud, valve: v, d: w.serve(harness.Options{Args: []string{"--cloud", cloud.url}, Env: cloud.env})}
	slow.c = client.New(slow.d.URL)
	w.keepKeys(slow.d.Data)
	slow.holdCreation(w.t)
	create := startVerb(w.t, slow.d, "backup", "create")
	v.await(w.t)
	w.collect("a backup that is made", slow.d)
	v.open()
	w.ended(create)
	slow.holdRestoration()
	restore := startVerb(w.t, slow.d, "backup", "restore", slow.ids(w.t)[0])
	v.await(w.t)
	w.collect("a backup that is restored", slow.d)
	v.open()
	w.ended(restore)
	w.seen.addTree(w.t, "bucket of a slow backup", s.Dir(cloud.bucket), func(string) bool { return false })
	return slow.d
}

// ended waits for a command, and looks at what it says.
func (w *canaryWalk) ended(v *verb) {
	w.t.Helper()
	stdout, stderr, code := v.end()
	if code != 0 {
		w.t.Errorf("a command of the slow device: %d\n%s", code, stderr)
	}
	w.seen.add("output of a slow command", []byte(stdout+stderr)...)
}

// check looks for the secrets in all that was seen, and then for one that is put into
// each kind of place, so that it is known to look there.
func (w *canaryWalk) check(data, bucket string) {
	w.t.Helper()
	finder := newCanaryFinder(w.t, w.secrets)
	for place, what := range w.seen.told(finder) {
		w.t.Errorf("%s tells %s", place, what)
	}
	for _, kind := range []string{"log of one", "log of slow", "standard error of cairn status", "answer 200 of GET /metrics", "arguments", "data folder of one CURRENT",
		"data folder of one device.db", "data folder of two device.db", "bucket some/prefix/cairn.json"} {
		if len(w.seen[kind]) == 0 {
			w.t.Errorf("there is no %s: it was not looked at", kind)
		}
	}
	if w.t.Failed() {
		return
	}
	for name, secret := range w.secrets {
		w.planted(finder, name, secret, data, bucket)
	}
}

// planted puts a secret into a file of a data folder, an object and a log, and checks
// that it is found there, and nowhere else.
func (w *canaryWalk) planted(finder *canaryFinder, name, secret, data, bucket string) {
	w.t.Helper()
	for _, file := range []string{filepath.Join(data, "keys", "planted.told"), filepath.Join(bucket, "planted.age")} {
		write(w.t, file, "public "+secret)
		defer os.Remove(file)
	}
	again := &canaryWalk{t: w.t, seen: evidence{}}
	again.seen.addTree(w.t, "data folder", data, isKeyFile)
	again.seen.addTree(w.t, "bucket", bucket, func(string) bool { return false })
	again.seen.add("log", append(slices.Clone(w.seen["log of one"]), ("level=DEBUG body="+secret)...)...)
	found := again.seen.told(finder)
	for _, place := range []string{"data folder keys/planted.told", "bucket planted.age", "log"} {
		if found[place] == "" {
			w.t.Errorf("%s is not found in %s", name, place)
		}
		delete(found, place)
	}
	for place, what := range found {
		w.t.Errorf("%s is found in %s: %s", name, place, what)
	}
}

// isKeyFile reports whether a file of a data folder is meant to hold a key.
func isKeyFile(path string) bool { return regexp.MustCompile(`^keys/[-0-9a-f]+$`).MatchString(path) }
