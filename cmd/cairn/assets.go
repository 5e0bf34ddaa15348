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
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"cairn"
	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

func assetsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "assets",
		Short: "list, show, add and delete snippets",
		Args:  group,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(assetsListCommand(), assetsGetCommand(), assetsAddCommand(), assetsDeleteCommand())
	return cmd
}

func assetsListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list all snippets",
		Args:  takes(),
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := daemon(*data)
		if err != nil {
			return err
		}
		out, before := cmd.OutOrStdout(), "" // before the next item
		if *asJSON {
			before = `{"iterable":[`
		}
		for text, err := range c.Assets(cmd.Context(), *asJSON) {
			if err != nil {
				return err
			}
			if *asJSON {
				_, err = fmt.Fprintf(out, "%s%s", before, text)
				before = ","
			} else {
				err = printAsset(out, text)
			}
			if err != nil {
				return err
			}
		}
		if *asJSON {
			_, err = fmt.Fprintf(out, "%s]}\n", strings.TrimSuffix(before, ","))
		}
		return err
	}
	return cmd
}

// printAsset prints a line: id, language, size, name.
func printAsset(w io.Writer, text json.RawMessage) error {
	var a struct {
		ID      string
		Name    string
		Formats struct {
			Iterable []struct {
				Classification struct{ Specific string }
				Bytes          struct{ Value json.Number }
			}
		}
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("reading an asset: %w", err)
	}
	language, size := "-", "-"
	if len(a.Formats.Iterable) > 0 {
		f := a.Formats.Iterable[0]
		language = f.Classification.Specific
		if n, err := f.Bytes.Value.Int64(); err == nil {
			size = bytesText(n)
		}
	}
	_, err := fmt.Fprintf(w, "%-36s  %-8s  %9s  %s\n", a.ID, printable(language), size, printable(a.Name))
	return err
}

func assetsGetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "print the text of a snippet, byte for byte",
		Args:  takes("ID"),
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkID(args[0]); err != nil {
			return err
		}
		c, err := daemon(*data)
		if err != nil {
			return err
		}
		body, err := c.Asset(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", body)
			return err
		}
		text, _, ok := asset.OriginalText(body)
		if !ok {
			return &cairn.Error{
				Code:    cairn.CodeInvalid,
				Message: "The asset " + cairn.Quote(args[0]) + " has no text of its own.",
				Hint:    "See all of it with --json.",
			}
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}

func assetsAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add [FILE|-]",
		Short: "add a snippet from a file or standard input, and print its id",
		Args:  takes("[FILE]"),
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	name := cmd.Flags().String("name", "", "`name` of the snippet (default the file's)")
	language := cmd.Flags().String("language", "", "its `language` as a file extension (default by the name)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file := "-"
		if len(args) == 1 {
			file = args[0]
		}
		text, err := readText(cmd.InOrStdin(), file)
		if err != nil {
			return err
		}
		if *name == "" && file != "-" {
			*name = filepath.Base(file)
		}
		if *language == "" {
			*language = asset.Language(*name)
		}
		c, err := daemon(*data)
		if err != nil {
			return err
		}
		body, err := c.CreateAsset(cmd.Context(), seed(*name, *language, text))
		if err != nil {
			return err
		}
		if !*asJSON {
			id, _ := rawjson.Text(rawjson.Get(body, "id"))
			body = json.RawMessage(id)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", body)
		return err
	}
	return cmd
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

func assetsDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete ID",
		Short: "delete a snippet",
		Args:  takes("ID"),
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkID(args[0]); err != nil {
			return err
		}
		c, err := daemon(*data)
		if err != nil {
			return err
		}
		if err := c.DeleteAsset(cmd.Context(), args[0]); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{"id": args[0]})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", args[0])
		return err
	}
	return cmd
}
