package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"cairn"
	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

func assetsCommand() *cobra.Command {
	return groupCommand("assets", "list, show, add and delete snippets",
		clientCommand("list", "list all snippets", takes(), assetsList),
		clientCommand("get ID", "print the text of a snippet, byte for byte", takes("ID"), assetsGet),
		assetsAddCommand(),
		clientCommand("delete ID", "delete a snippet", takes("ID"), assetsDelete))
}

func assetsList(c call) error {
	before := "" // the next item
	if c.json {
		before = `{"iterable":[`
	}
	for text, err := range c.client.Assets(c.ctx, c.json) {
		if err != nil {
			return err
		}
		if c.json {
			_, err = fmt.Fprintf(c.out, "%s%s", before, text)
			before = ","
		} else {
			err = printAsset(c.out, text)
		}
		if err != nil {
			return err
		}
	}
	if !c.json {
		return nil
	}
	_, err := fmt.Fprintf(c.out, "%s]}\n", strings.TrimSuffix(before, ","))
	return err
}

// printAsset prints a line: id, language, size, name. What the asset lacks, or
// has in another form than its model, is a dash: one odd asset must not end the
// list.
func printAsset(w io.Writer, text json.RawMessage) error {
	doc, err := rawjson.Compact(nil, text)
	if err != nil {
		return fmt.Errorf("reading an asset: %w", err)
	}
	var format []byte
	for f := range rawjson.Elements(rawjson.Path(doc, "formats", "iterable")) {
		format = f
		break
	}
	size := "-"
	if n, err := strconv.ParseInt(string(rawjson.Path(format, "bytes", "value")), 10, 64); err == nil && n >= 0 {
		size = bytesText(n)
	}
	_, err = fmt.Fprintf(w, "%-36s  %-8s  %9s  %s\n", textOrDash(rawjson.Get(doc, "id")),
		textOrDash(rawjson.Path(format, "classification", "specific")), size, textOrDash(rawjson.Get(doc, "name")))
	return err
}

// textOrDash returns a string of JSON as it may be shown on a terminal, and a
// dash for what is none or empty.
func textOrDash(v []byte) string {
	if text, _ := rawjson.Text(v); text != "" {
		return printable(text)
	}
	return "-"
}

func assetsGet(c call) error {
	id := c.args[0]
	if err := checkID(id); err != nil {
		return err
	}
	body, err := c.client.Asset(c.ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		_, err = fmt.Fprintf(c.out, "%s\n", body)
		return err
	}
	text, _, ok := asset.OriginalText(body)
	if !ok {
		return &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The asset " + cairn.Quote(id) + " has no text of its own.",
			Hint:    "See all of it with --json.",
		}
	}
	_, err = io.WriteString(c.out, text)
	return err
}

func assetsAddCommand() *cobra.Command {
	var name, language string
	cmd := clientCommand("add [FILE|-]", "add a snippet from a file or standard input, and print its id", takes("[FILE]"),
		func(c call) error { return assetsAdd(c, name, language) })
	cmd.Flags().StringVar(&name, "name", "", "`name` of the snippet (default the file's)")
	cmd.Flags().StringVar(&language, "language", "", "its `language` as a file extension (default by the name)")
	cmd.PreRunE = func(*cobra.Command, []string) (err error) {
		language, err = languageNamed(language)
		return err
	}
	return cmd
}

// languageNamed returns the language that the API has for a word, "" for none.
func languageNamed(word string) (string, error) {
	if word == "" {
		return "", nil
	}
	language, ok := asset.LanguageNamed(word)
	if !ok {
		const known = "c, cpp, cs, css, go, html, java, js, json, md, php, py, rb, rs, sh, sql, ts, txt, xml, yaml"
		return "", usageError{fmt.Errorf("--language is %s, not the file extension of a known language, as %s and others", cairn.Quote(word), known)}
	}
	return language, nil
}

func assetsAdd(c call, name, language string) error {
	file := "-"
	if len(c.args) == 1 {
		file = c.args[0]
	}
	text, err := readText(c.in, file)
	if err != nil {
		return err
	}
	if name == "" && file != "-" {
		name = filepath.Base(file)
	}
	if language == "" {
		language = asset.Language(name)
	}
	body, err := c.client.CreateAsset(c.ctx, seed(name, language, text))
	if err != nil {
		return err
	}
	if !c.json {
		id, _ := rawjson.Text(rawjson.Get(body, "id"))
		body = json.RawMessage(id)
	}
	_, err = fmt.Fprintf(c.out, "%s\n", body)
	return err
}

// checkID keeps what no snippet can be called from becoming part of a path.
func checkID(id string) error {
	if cairn.ValidateID(id) == nil {
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeGone,
		Message: "There is no asset " + cairn.Quote(id) + ".",
		Hint:    "cairn assets list shows those that are there.",
	}
}

// readText reads a file, or in for "-".
func readText(in io.Reader, file string) (string, error) {
	name := "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", unusable(file, err)
		}
		defer f.Close()
		in, name = f, file
	}
	text, err := io.ReadAll(io.LimitReader(in, cairn.MaxDocumentBytes+1))
	switch {
	case err != nil:
		return "", unusable(name, err)
	case len(text) > cairn.MaxDocumentBytes:
		return "", unusable(name, errors.New("it is larger than the 32 MiB that a document can have"))
	case !utf8.Valid(text):
		return "", unusable(name, errors.New("it is not text in UTF-8"))
	}
	return string(text), nil
}

// unusable says why a file cannot become a snippet.
func unusable(name string, err error) error {
	why := err
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		why = e.Err
	}
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: fmt.Sprintf("%s cannot be used: %v.", name, why),
		Hint:    "Name a file of text in UTF-8, or - for standard input.",
		Err:     err,
	}
}

// seed returns a Seed of one text.
func seed(name, language, text string) []byte {
	var app, str, ext, fragment, format, metadata, seeded, o rawjson.Object
	app.SetText("id", uuid.NewSHA1(uuid.NameSpaceURL, []byte("cairn:cli")).String()).SetText("name", "OPEN_SOURCE").
		SetText("version", cairn.APILevel).SetText("platform", cairn.Platform(runtime.GOOS)).
		Set("onboarded", []byte("true")).SetText("privacy", "OPEN")
	str.SetText("raw", text)
	fragment.Set("string", str.JSON())
	if language != "" {
		fragment.Set("metadata", ext.SetText("ext", language).JSON())
	}
	format.Set("fragment", fragment.JSON())
	if name != "" {
		metadata.SetText("name", name)
	}
	seeded.Set("application", app.JSON()).Set("format", format.JSON()).Set("metadata", metadata.JSON())
	return o.SetText("type", "SEEDED_ASSET").Set("asset", seeded.JSON()).JSON()
}

func assetsDelete(c call) error {
	id := c.args[0]
	if err := checkID(id); err != nil {
		return err
	}
	if err := c.client.DeleteAsset(c.ctx, id); err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, map[string]string{"id": id})
	}
	_, err := fmt.Fprintf(c.out, "deleted %s\n", id)
	return err
}
