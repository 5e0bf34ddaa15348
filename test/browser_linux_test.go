package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"cairn/test/harness"
)

// lent is where a page finds what the tests lend it.
const lent = "/-test/"

// importMap leads a page to what the tests import.
var importMap = map[string]string{
	"@pieces.app/pieces-os-client": lent + "pieces.mjs",
	"node:assert/strict":           lent + "test/sdk/browser.mjs",
	"node:crypto":                  lent + "test/sdk/browser.mjs",
	"node:test":                    lent + "test/sdk/browser.mjs",
}

// TestBrowser runs the tests of our package for the SDK in a browser, on the page
// of a daemon.
func TestBrowser(t *testing.T) {
	t.Parallel()
	installSDK(t)
	ctx := openBrowser(t)
	d := harness.Start(t, harness.Options{})
	// The page itself runs nothing and asks for nothing.
	if _, err := chromedp.Call(ctx, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	runInPage(t, ctx, d.URL+"/", d.URL)
}

// runInPage runs the tests of our package for the SDK in a page, on a daemon.
func runInPage(t *testing.T, ctx context.Context, page, daemon string) {
	t.Helper()
	lend(t, ctx)
	imports, err := json.Marshal(map[string]any{"imports": importMap})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	type outcome struct{ Name, Error string }
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	outcomes, err := chromedp.Run(ctx, chromedp.Evaluate[[]outcome](fmt.Sprintf(`(async () => {
		const map = document.createElement('script');
		map.type = 'importmap';
		map.textContent = %q;
		document.head.append(map);
		globalThis.process = { env: { CAIRN_URL: %q } };
		const { run } = await import('node:test');
		return run('./streams.test.mjs');
	})()`, imports, daemon), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	if len(outcomes) == 0 {
		t.Error("the browser ran no tests")
	}
	for _, o := range outcomes {
		if o.Error != "" {
			t.Errorf("%s:\n%s", o.Name, o.Error)
		}
	}
}

// openBrowser opens a tab of a new browser, which ends with the test.
func openBrowser(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the test needs chromium, which scripts/deps.sh installs: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
		chromedp.Env("TMPDIR="+t.TempDir())) // where it leaves things behind
	options = append(options, more...)
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("closing the browser: %v", err)
		}
		cancel()
		end()
	})
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context of the first call
		t.Fatal(err)
	}
	return ctx
}

// lend has a tab find the files of the repository below lent, as if the server of
// its page had them.
func lend(t *testing.T, ctx context.Context) {
	t.Helper()
	root, err := os.OpenRoot(harness.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	requests := chromedp.Events(ctx, fetch.RequestPaused)
	var lending sync.WaitGroup
	lending.Go(func() {
		for request, err := range requests {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("waiting for what the browser asks for: %v", err)
				}
				return
			}
			if _, err := chromedp.Call(ctx, fetch.FulfillRequest, lentFile(root, request)); err != nil && ctx.Err() == nil {
				t.Errorf("lending %s: %v", request.Request.URL, err)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		lending.Wait()
		_ = root.Close() // it was only read
	})
	patterns := []*fetch.RequestPattern{{URLPattern: "*" + lent + "*"}}
	if _, err := chromedp.Call(ctx, fetch.Enable, fetch.EnableParams{Patterns: patterns}); err != nil {
		t.Fatal(err)
	}
}

// lentFile answers a request for a file.
func lentFile(root *os.Root, request fetch.EventRequestPaused) fetch.FulfillRequestParams {
	answer := fetch.FulfillRequestParams{
		RequestID:       request.RequestID,
		ResponseCode:    200,
		ResponseHeaders: []*fetch.HeaderEntry{{Name: "Content-Type", Value: "text/javascript"}},
	}
	var err error
	if of, parseErr := url.Parse(request.Request.URL); parseErr != nil {
		err = parseErr
	} else if name := strings.TrimPrefix(of.Path, lent); name == "pieces.mjs" {
		answer.Body, err = piecesModule(root)
	} else {
		answer.Body, err = root.ReadFile(filepath.FromSlash(name))
	}
	if err != nil {
		answer.ResponseCode, answer.Body = 404, []byte(err.Error())
	}
	return answer
}

// piecesModule makes one module of the SDK, whose files are CommonJS, as the tools do
// that make programs ready for browsers.
func piecesModule(root *os.Root) ([]byte, error) {
	const dist = "sdk/typescript/node_modules/@pieces.app/pieces-os-client/dist"
	var module bytes.Buffer
	module.WriteString("const files = {\n")
	err := fs.WalkDir(root.FS(), dist, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".js" {
			return err
		}
		text, err := root.ReadFile(filepath.FromSlash(name))
		fmt.Fprintf(&module, "%q: (module, exports, require) => {%s\n},\n", strings.TrimPrefix(name, dist), text)
		return err
	})
	module.WriteString(`};
const modules = {};
function load(name) {
  if (!modules[name]) {
    modules[name] = { exports: {} };
    files[name](modules[name], modules[name].exports, (other) => load(new URL(other + '.js', 'file://' + name).pathname));
  }
  return modules[name].exports;
}
const sdk = load('/index.js');
export default sdk;
export const { BackupStreamedProgressFromJSON, BackupsStreamedProgressFromJSON, BaseAPI, FetchError, ResponseError } = sdk;
`)
	return module.Bytes(), err
}
