package main

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

// document is a row to write.
type document struct {
	id   string
	json []byte
}

type documents []document

func (d documents) bytes() (n int64) {
	for _, doc := range d {
		n += int64(len(doc.json))
	}
	return n
}

func (d documents) largest() (n int) {
	for _, doc := range d {
		n = max(n, len(doc.json))
	}
	return n
}

// Pieces have a long tail, as snippets have: most are short, a few are whole
// files. The document around a piece adds about 1 kB.
const (
	medianPiece  = 3100
	spread       = 1.05 // of the logarithm
	largestPiece = 220_000
)

// A writer cuts the source text of the Go installation into the texts of assets.
// The same seed and installation give the same documents.
type writer struct {
	median      float64 // bytes of a piece
	random      *rand.Rand
	application []byte
	stamp       asset.Stamp
	files       []sourceFile
	file        int    // that is cut
	rest        []byte // of it
}

func newWriter(seed uint64, median float64) (*writer, error) {
	files, err := sourceFiles()
	if err != nil {
		return nil, err
	}
	w := &writer{median: median, random: rand.New(rand.NewPCG(seed, 0)), files: files, rest: files[0].text}
	var application rawjson.Object
	application.SetText("id", w.newID()).SetText("name", "OPEN_SOURCE").SetText("version", "1.0.0").
		SetText("platform", "LINUX").Set("onboarded", []byte("true")).SetText("privacy", "OPEN")
	w.application = application.JSON()
	w.stamp = asset.Stamp{Creator: w.newID(), NewID: w.newID, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	return w, nil
}

func (w *writer) newID() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(w.random.Uint32())
	}
	id, _ := uuid.FromBytes(b[:])
	return id.String()
}

// write returns the next document. It gets the id, or a new one for "".
func (w *writer) write(id string) document {
	if len(bytes.TrimSpace(w.rest)) == 0 {
		w.file = w.random.IntN(len(w.files))
		w.rest = w.files[w.file].text
	}
	want := int(w.median * math.Exp(spread*w.random.NormFloat64()))
	text := lines(w.rest, min(max(want, 40), largestPiece))
	w.rest = w.rest[len(text):]
	if id == "" {
		id = w.newID()
	}
	w.stamp.ID, w.stamp.Format = id, w.newID()
	w.stamp.Now = w.stamp.Now.Add(time.Minute)
	return document{id, asset.New(w.files[w.file].name, string(text), "go", w.application, w.stamp)}
}

// snippets returns n documents of the usual size.
func snippets(seed uint64, n int) (documents, error) {
	w, err := newWriter(seed, medianPiece)
	if err != nil {
		return nil, err
	}
	docs := make(documents, 0, n)
	for len(docs) < n {
		docs = append(docs, w.write(""))
	}
	return docs, nil
}

// lines returns whole lines of text that have together about n bytes.
func lines(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	if i := bytes.IndexByte(text[n:], '\n'); i >= 0 {
		return text[:n+i+1]
	}
	return text
}

// longLines tells of text that nobody wrote by hand.
func longLines(text []byte) bool {
	for line := range bytes.Lines(text) {
		if len(line) > 2000 {
			return true
		}
	}
	return false
}

type sourceFile struct {
	name string
	text []byte
}

// sourceFiles reads the Go files of the standard library, in the order of
// their names.
func sourceFiles() (files []sourceFile, err error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	root := filepath.Join(strings.TrimSpace(string(goroot)), "src")
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && utf8.Valid(text) && len(bytes.TrimSpace(text)) > 0 && !longLines(text) {
			name, _ := filepath.Rel(root, path)
			files = append(files, sourceFile{filepath.ToSlash(name), text})
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = errors.New("there is no source text in " + root)
	}
	return files, err
}
