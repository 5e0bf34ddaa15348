package importer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

const (
	// maxText is the largest file that is read, in bytes. Its asset, with
	// escapes, must fit a document.
	maxText = cairn.MaxDocumentBytes
	// batchLines and batchBytes bound one request.
	batchLines = 1000
	batchBytes = 8 << 20
	// workers read files and compare them with their assets at the same time.
	workers = 8
)

// A Report counts what an import did.
type Report struct {
	Files     int   `json:"files"`     // text files found
	Bytes     int64 `json:"bytes"`     // of text in them
	Added     int   `json:"added"`     // assets made
	Changed   int   `json:"changed"`   // assets that took over a changed file
	Unchanged int   `json:"unchanged"` // assets whose file is as it was
	// Edited counts assets that were edited here while their file changed
	// too. They are left as they are.
	Edited  int      `json:"edited"`
	Refused int      `json:"refused"` // files that the daemon did not take
	Skipped Skips    `json:"skipped"`
	Notes   []string `json:"notes,omitempty"` // one sentence for each file to look at, at most maxNotes
}

// maxNotes bounds the notes of a report.
const maxNotes = 100

// Files imports each text file below dir as an asset and reports what it did.
// The id of an asset follows from the absolute path of its file: importing
// again changes only the assets whose file has changed. progress, unless nil,
// is called with the files handled so far and in all.
//
// An error ends the import; what was stored until then stays, and importing
// again goes on from there.
func Files(ctx context.Context, c *client.Client, dir string, progress func(done, all int)) (Report, error) {
	st, err := c.Status(ctx)
	if err != nil {
		return Report{}, err
	}
	im := &fileImport{client: c, creator: st.User, progress: progress, application: application(st)}
	if progress != nil {
		for _, err := range Walk(ctx, dir, nil) {
			if err == nil {
				im.all++
			}
		}
	}
	err = im.run(ctx, dir)
	return im.report, err
}

// fileImport is the state of one Files call.
type fileImport struct {
	client      *client.Client
	creator     string
	application []byte
	progress    func(done, all int)
	all         int

	mu     sync.Mutex // guards what follows
	done   int
	report Report
	lines  []api.DocumentLine
	size   int
}

// application is the Application that imported assets name.
func application(st api.Status) []byte {
	var o rawjson.Object
	return o.SetText("id", uuid.NewSHA1(uuid.NameSpaceURL, []byte("cairn:import")).String()).SetText("name", "OPEN_SOURCE").
		SetText("version", st.APILevel).SetText("platform", cairn.Platform(runtime.GOOS)).
		Set("onboarded", []byte("true")).SetText("privacy", "OPEN").JSON()
}

func (im *fileImport) run(ctx context.Context, dir string) error {
	// working ends with the group; ctx goes on for what is stored after it.
	group, working := errgroup.WithContext(ctx)
	files := make(chan File, workers)
	var skips Skips
	group.Go(func() error {
		defer close(files)
		for file, err := range Walk(working, dir, &skips) {
			if _, ok := errors.AsType[*UnreadableError](err); ok {
				im.note(err.Error())
				continue
			}
			if err != nil {
				return err
			}
			select {
			case files <- file:
			case <-working.Done():
				return working.Err()
			}
		}
		return nil
	})
	for range workers {
		group.Go(func() error {
			for file := range files {
				if err := im.file(working, file); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	if err == nil {
		err = im.store(ctx, im.lines)
	}
	skips.addAll(im.report.Skipped)
	im.report.Skipped = skips
	return err
}

// file handles one file.
func (im *fileImport) file(ctx context.Context, file File) error {
	text, reason, err := ReadText(file.Path, maxText)
	if _, ok := errors.AsType[*UnreadableError](err); ok {
		im.note(err.Error())
	} else if err != nil {
		return err
	}
	outcome := skipped
	if reason == Kept {
		if outcome, err = im.text(ctx, file, string(text)); err != nil {
			return err
		}
	}
	if outcome == tooLarge {
		reason = TooLarge
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.report.Skipped.Add(reason)
	if reason == Kept {
		im.report.Files++
		im.report.Bytes += int64(len(text))
	}
	switch outcome {
	case unchanged:
		im.report.Unchanged++
	case changed:
		im.report.Changed++
	case edited:
		im.report.Edited++
	}
	im.done++
	if im.progress != nil {
		im.progress(im.done, max(im.all, im.done))
	}
	return nil
}

// outcome is what became of one file; added ones are counted when stored.
type outcome int

const (
	skipped outcome = iota
	queued
	tooLarge
	unchanged
	changed
	edited
)

// text brings one file's text to its asset.
func (im *fileImport) text(ctx context.Context, file File, text string) (outcome, error) {
	for {
		o, err := im.compare(ctx, file, text)
		switch cairn.CodeOf(err) {
		case cairn.CodeChanged, cairn.CodeGone:
			continue // the asset was edited or deleted meanwhile: look again
		case cairn.CodeTooLarge:
			return tooLarge, nil
		}
		return o, err
	}
}

// compare looks at the asset of a file once, and changes what is stored of it
// only while it is still what was looked at.
func (im *fileImport) compare(ctx context.Context, file File, text string) (outcome, error) {
	id := AssetID(file.Path)
	stored, err := im.client.Document(ctx, cairn.CollectionAssets, id)
	if cairn.CodeOf(err) == cairn.CodeGone {
		return im.add(ctx, id, file, text)
	}
	if err != nil {
		return skipped, err
	}
	// What the asset remembers of its file tells which of the two changed.
	was, _ := rawjson.Text(rawjson.Path(stored, "imported", "sha256"))
	have, format, ok := asset.OriginalText(stored)
	switch {
	case was == sum(text):
		return unchanged, nil
	case ok && have == text: // both were changed alike: from now on this is the file
		_, err = im.client.UpdateAsset(ctx, remember(id, text).JSON(), stored)
		return unchanged, err
	case !ok || was != sum(have):
		im.note(fmt.Sprintf("%s has changed, and so has its asset %s: the asset was left as it is", file.Path, id))
		return edited, nil
	}
	_, err = im.client.UpdateAsset(ctx, patch(stored, id, format, text), stored)
	return changed, err
}

// sum returns the SHA-256 of a text in hexadecimal digits.
func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// imported is what an asset remembers of the file it came from.
func imported(text string) []byte {
	var o rawjson.Object
	return o.SetText("sha256", sum(text)).JSON()
}

// patch returns the change of an asset to a new text of one of its formats.
// The others are named, so that they stay.
func patch(stored []byte, id, format, text string) []byte {
	var items [][]byte
	for _, other := range asset.FormatIDs(stored) {
		var str, fragment, item rawjson.Object
		item.SetText("id", other)
		if other == format {
			str.SetText("raw", text)
			fragment.Set("string", str.JSON())
			item.Set("fragment", fragment.JSON())
		}
		items = append(items, item.JSON())
	}
	var formats rawjson.Object
	formats.Set("iterable", rawjson.Array(items...))
	return remember(id, text).Set("formats", formats.JSON()).JSON()
}

// remember returns the change of an asset that notes what its file holds now.
func remember(id, text string) *rawjson.Object {
	var o rawjson.Object
	return o.SetText("id", id).Set("imported", imported(text))
}

// add queues a new asset, and stores the queue when it is full.
func (im *fileImport) add(ctx context.Context, id string, file File, text string) (outcome, error) {
	made := time.Now()
	if info, err := os.Lstat(file.Path); err == nil {
		made = info.ModTime()
	}
	name := DisplayName(file.Rel)
	doc := asset.New(name, text, asset.Language(name), im.application, asset.Stamp{
		ID: id, Format: FormatID(id), Creator: im.creator, Now: made,
	})
	doc = rawjson.Replace(doc, "imported", imported(text))
	if len(doc) > cairn.MaxDocumentBytes {
		return tooLarge, nil
	}
	im.mu.Lock()
	im.lines = append(im.lines, api.DocumentLine{Collection: cairn.CollectionAssets, ID: id, Document: doc})
	im.size += len(doc)
	var full []api.DocumentLine
	if len(im.lines) >= batchLines || im.size >= batchBytes {
		full, im.lines, im.size = im.lines, nil, 0
	}
	im.mu.Unlock()
	return queued, im.store(ctx, full)
}

// store sends new assets to the daemon.
func (im *fileImport) store(ctx context.Context, lines []api.DocumentLine) error {
	if len(lines) == 0 {
		return nil
	}
	written, err := im.client.WriteDocuments(ctx, lines)
	if err != nil {
		return err
	}
	for _, refused := range written.Refused {
		im.note(fmt.Sprintf("asset %s was refused: %s", refused.ID, refused.Detail))
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.report.Added += int(written.Added)
	im.report.Changed += int(written.Changed)
	im.report.Unchanged += int(written.Unchanged)
	im.report.Refused += int(written.RefusedCount)
	return nil
}

func (im *fileImport) note(text string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if len(im.report.Notes) < maxNotes {
		im.report.Notes = append(im.report.Notes, text)
	}
}
