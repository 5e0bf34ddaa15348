package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/keys"
	"cairn/internal/kit"
	"cairn/internal/segment"
	"cairn/test/harness"
)

// kitOf returns the kit of a cloud with the key in a file.
func kitOf(t *testing.T, id, url, key string) kit.Kit {
	t.Helper()
	identity, err := keys.Read(key)
	if err != nil {
		t.Fatal(err)
	}
	return kit.Kit{
		Cloud: id, URL: url, Key: cairn.NewSecret(identity.String()), PublicKey: identity.Recipient().String(),
		Device: "dev box", Created: time.Date(2026, 11, 23, 7, 25, 41, 0, time.UTC),
	}
}

// someKits are kits of all that a page can say, of which some say much.
func someKits(t *testing.T) map[string]kit.Kit {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	kits := map[string]kit.Kit{}
	for name, url := range map[string]string{
		"folder": "file:///media/disk/backups",
		"local":  "file:///home/me/.local/share/cairn/cloud",
		"s3":     "s3://backups/laptop?endpoint=https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com&region=auto",
		"azure":  "azblob://backups/laptop?storage_account=mine",
		"gs":     "gs://backups/laptop",
		"long":   "s3://backups/" + strings.Repeat("laptop-", 30) + "?endpoint=https://store.example:9000&region=auto&profile=backups",
	} {
		kits[name] = kit.Kit{
			Cloud: "5b0c6f0e-3f52-4f5e-9d5a-0f2a1c9d7e11", URL: url, Key: cairn.NewSecret(identity.String()), PublicKey: identity.Recipient().String(),
			Device: "dev <box> with a long name, as some have", Created: time.Date(2026, 11, 23, 7, 25, 41, 0, time.UTC), Local: name == "local",
		}
	}
	return kits
}

// TestKitPage prints the page of a kit with a browser, scans its code, and copies
// its key.
func TestKitPage(t *testing.T) {
	t.Parallel()
	ctx := openBrowser(t)
	for name, k := range someKits(t) {
		html, err := k.Page()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name+".html")
		write(t, path, string(html))
		if _, err := chromedp.Run(ctx, chromedp.Navigate("file://"+path)); err != nil {
			t.Fatal(err)
		}
		for paper, size := range map[string][2]float64{"A4": {8.27, 11.69}, "Letter": {8.5, 11}} {
			sides, err := chromedp.Call(ctx, page.PrintToPDF, page.PrintToPDFParams{PaperWidth: size[0], PaperHeight: size[1], PreferCSSPageSize: new(true)})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(regexp.MustCompile(`/Type\s*/Page\b`).FindAll(sides.Data, -1)); n != 1 {
				t.Errorf("%s: the page prints on %d pages of %s", name, n, paper)
			}
		}
		// What is 45 mm on paper has 170 of the pixels of CSS, which are 1/96 inch.
		wide, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`document.querySelector('.qr').getBoundingClientRect().width`))
		if err != nil || wide < 170 {
			t.Errorf("%s: the code is %.0f pixels wide: %v", name, wide, err)
		}
		copied, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getSelection().selectAllChildren(document.querySelector('.key')), getSelection().toString()`))
		if err != nil || copied != k.Key.Reveal() {
			t.Errorf("%s: the key is copied as %q: %v", name, copied, err)
		}
		colour, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.querySelector('header')).display`))
		if err != nil || colour != "flex" {
			t.Errorf("%s: the policy of the page keeps its own style away: %v", name, err)
		}
		shot := screenshot(t, name, func() ([]byte, error) {
			_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 794, Height: 1123, DeviceScaleFactor: 2})
			if err != nil {
				return nil, err
			}
			return chromedp.Run(ctx, chromedp.FullScreenshot(100))
		})
		if got, want := scan(t, shot), k.KeyFile().Reveal(); got != want {
			t.Errorf("%s: the code holds %q, want %q", name, got, want)
		}
		checkOpens(t, scan(t, shot), k.PublicKey)
	}
}

// screenshot stores what take returns in a file, whose path it returns.
func screenshot(t *testing.T, name string, take func() ([]byte, error)) string {
	t.Helper()
	png, err := take()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".png")
	write(t, path, string(png))
	return path
}

// scan returns what the QR code in a picture holds.
func scan(t *testing.T, picture string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "zbarimg", "--raw", "-q", picture).Output()
	if err != nil {
		t.Fatalf("zbarimg (of zbar-tools, which scripts/deps.sh installs): %v", err)
	}
	return strings.TrimSuffix(string(out), "\n") // of zbarimg
}

// checkOpens decrypts, with a key file, what is encrypted for a public key.
func checkOpens(t *testing.T, keyFile, recipient string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key.txt"), keyFile)
	if out := shell(t, dir, "echo hello | age -r "+recipient+" | age -d -i key.txt"); out != "hello\n" {
		t.Errorf("age decrypts %q", out)
	}
}

// kitSteps returns the key file in the text of a kit, and the commands in its part
// without cairn.
func kitSteps(t *testing.T, text string) (keyFile, commands string) {
	t.Helper()
	rule := strings.Repeat("-", 80) + "\n"
	_, rest, ok := strings.Cut(text, rule)
	keyFile, rest, ended := strings.Cut(rest, rule)
	_, rest, without := strings.Cut(rest, "\nWITHOUT CAIRN\n")
	steps, _, check := strings.Cut(rest, "\nCHECK CODE")
	if !ok || !ended || !without || !check {
		t.Fatalf("the text of the kit has other parts:\n%s", text)
	}
	var b strings.Builder
	for line := range strings.Lines(steps) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			b.WriteString(command)
		}
	}
	return keyFile, b.String()
}

// followKit does what the text of a kit says, without cairn, and returns the
// documents that this leaves.
func followKit(t *testing.T, k kit.Kit) map[string]storedDocument {
	t.Helper()
	keyFile, commands := kitSteps(t, string(k.Text()))
	if keyFile != k.KeyFile().Reveal() {
		t.Errorf("the text has the key file %q", keyFile)
	}
	dir := filepath.Join(t.TempDir(), "a folder")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "key.txt"), keyFile)
	shell(t, dir, commands)
	lines, err := os.ReadFile(filepath.Join(dir, "documents.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var found []cairn.Document
	for line := range bytes.Lines(lines) {
		d, err := segment.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		found = append(found, d)
	}
	return byName(found)
}

// TestKitWithoutCairn follows the steps of a kit, copied from its text as they are.
func TestKitWithoutCairn(t *testing.T) {
	t.Parallel()
	h := newHandmade(t)
	h.simple()
	_, left := h.layered() // of several segments, with an index and deletions
	chosen := []cairn.Document{document("assets", "one", 1, `{"chosen":true}`)}
	h.commit(cairn.ScopeAssets, chosen, h.segment([]segment.Part{h.part(0, chosen...)})) // is newer
	got := followKit(t, kitOf(t, h.cloud.ID(), "file://"+h.dir, h.key))
	if diff := cmp.Diff(byName(left), got, cmp.AllowUnexported(storedDocument{})); diff != "" {
		t.Errorf("other documents (-want +got):\n%s", diff)
	}
}

// TestKitOfDaemon follows the steps of a kit for what the program itself wrote, to a
// folder whose name has a meaning to shells.
func TestKitOfDaemon(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "my 'backups' $(x)")
	d := harness.Start(t, harness.Options{Args: []string{"--cloud", dir}})
	large := `{"text":"` + strings.Repeat(`\"é\" `, 200_000) + `"}`
	storeDocuments(t, d,
		api.DocumentLine{Collection: "assets", ID: "one", Document: []byte(`{"name":"a \"b\" \\ c","n":1.50}`)},
		api.DocumentLine{Collection: "notes", ID: "two", Document: []byte(large)},
		api.DocumentLine{Collection: "assets", ID: "gone", Document: []byte(`{}`)})
	if _, stderr, code := harness.Cairn(t, d.Env(), "backup", "create"); code != 0 {
		t.Fatal(stderr)
	}
	if _, stderr, code := harness.Cairn(t, d.Env(), "assets", "delete", "gone"); code != 0 {
		t.Fatal(stderr)
	}
	if _, stderr, code := harness.Cairn(t, d.Env(), "backup", "create"); code != 0 {
		t.Fatal(stderr)
	}
	keys := allFiles(t, filepath.Join(d.Data, "keys"))
	status, err := client.New(d.URL).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var key string
	for _, path := range keys {
		if filepath.Base(path) == status.Cloud.ID {
			key = path
		}
	}
	got := followKit(t, kitOf(t, status.Cloud.ID, status.Cloud.URL, key))
	checkStored(t, storedDocuments(t, d), got)
}
