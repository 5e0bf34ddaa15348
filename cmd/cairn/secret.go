package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"cairn"
)

// maxSecretFile is the largest file of a secret that is read, in bytes: 64 KiB.
const maxSecretFile = 64 << 10

// secretFile returns what a file holds; - is standard input. A secret is never an
// argument, which other users of the computer can see.
func secretFile(c call, path string) (cairn.Secret, error) {
	in := c.in
	if strings.Contains(strings.ToUpper(path), "AGE-SECRET-KEY-") {
		return cairn.Secret{}, usageError{errors.New("a key itself was given: put it into a file that only you can read, and name the file; other users can have seen it")}
	}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return cairn.Secret{}, cairn.FileError("reading", path, err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSecretFile+1))
	switch {
	case err != nil:
		return cairn.Secret{}, cairn.FileError("reading", path, err)
	case len(text) > maxSecretFile:
		return cairn.Secret{}, usageError{fmt.Errorf("%s is longer than %d bytes", cairn.Quote(path), maxSecretFile)}
	}
	return cairn.NewSecret(string(text)), nil
}

// passphraseFile returns the passphrase in a file, which is its one line.
func passphraseFile(c call, path string) (cairn.Secret, error) {
	text, err := secretFile(c, path)
	if err != nil {
		return cairn.Secret{}, err
	}
	line := strings.TrimPrefix(text.Reveal(), "\ufeff") // which editors of Windows write
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return cairn.Secret{}, usageError{fmt.Errorf("%s does not hold a passphrase, which is one line", cairn.Quote(path))}
	}
	return passphraseOf(line)
}

// passphraseOf returns the passphrase of what was read. In JSON each byte that is no
// UTF-8 would be sent as the same character, and another passphrase be in force than
// the one that was given.
func passphraseOf(text string) (cairn.Secret, error) {
	if !utf8.ValidString(text) {
		return cairn.Secret{}, usageError{errors.New("the passphrase is not valid UTF-8; nothing was changed")}
	}
	return cairn.NewSecret(text), nil
}

// askSecret asks for a secret on the terminal, which does not show it.
func askSecret(c call, prompt string) (cairn.Secret, error) {
	terminal, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return cairn.Secret{}, usageError{errors.New("there is no terminal to ask for a passphrase on: name a file with --passphrase-file, - for standard input")}
	}
	fmt.Fprint(c.err, prompt)
	text, err := readSecret(c.ctx, int(terminal.Fd()))
	fmt.Fprintln(c.err)
	if c.ctx.Err() != nil {
		return cairn.Secret{}, interruptedError{"nothing was changed"}
	}
	if err != nil {
		return cairn.Secret{}, fmt.Errorf("reading from the terminal: %w", err)
	}
	if len(text) == 0 {
		return cairn.Secret{}, interruptedError{"nothing was entered, and nothing was changed"}
	}
	return passphraseOf(string(text))
}

// readSecret reads a line from a terminal that does not show it, until ctx ends: then
// the terminal shows what is typed again, and the line is left to whoever reads next.
func readSecret(ctx context.Context, terminal int) ([]byte, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return nil, err
	}
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		return l.text, l.err
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), term.Restore(terminal, before))
	}
}

// newSecret asks for a new secret twice.
func newSecret(c call, prompt string) (cairn.Secret, error) {
	first, err := askSecret(c, prompt)
	if err != nil {
		return cairn.Secret{}, err
	}
	again, err := askSecret(c, "once more: ")
	if err != nil {
		return cairn.Secret{}, err
	}
	if !first.Equal(again) {
		return cairn.Secret{}, errors.New("the two are not the same, and nothing was changed")
	}
	return first, nil
}

// messageOf returns what an error says to a person.
func messageOf(err error) string {
	if e, ok := errors.AsType[*cairn.Error](err); ok {
		return e.Message
	}
	return err.Error()
}
