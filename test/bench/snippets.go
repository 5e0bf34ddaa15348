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

// snippets cuts the source text of the Go installation into the texts of n
// assets. The same seed and installation give the same documents.
func snippets(seed uint64, n int) (documents, error) {
	files, err := sourceFiles()
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	newID := func() string {
		var b [16]byte
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		id, _ := uuid.FromBytes(b[:])
		return id.String()
	}
	var application rawjson.Object
	application.SetText("id", newID()).SetText("name", "OPEN_SOURCE").SetText("version", "1.0.0").
		SetText("platform", "LINUX").Set("onboarded", []byte("true")).SetText("privacy", "OPEN")
	stamp := asset.Stamp{Creator: newID(), NewID: newID, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	docs := make(documents, 0, n)
	file, rest := 0, files[0].text
	for len(docs) < n {
		if len(bytes.TrimSpace(rest)) == 0 {
			file = random.IntN(len(files))
			rest = files[file].text
		}
		want := int(medianPiece * math.Exp(spread*random.NormFloat64()))
		text := lines(rest, min(max(want, 40), largestPiece))
		rest = rest[len(text):]
		stamp.ID, stamp.Format = newID(), newID()
		stamp.Now = stamp.Now.Add(time.Minute)
		docs = append(docs, document{stamp.ID, asset.New(files[file].name, string(text), "go", application.JSON(), stamp)})
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
