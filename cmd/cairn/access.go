package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"cairn"
	"cairn/internal/config"
	"cairn/internal/database"
	"cairn/internal/device"
	"cairn/internal/durable"
	"cairn/internal/httpapi"
)

const (
	// tokenVariable has the token itself, for the daemon and for the commands that
	// speak to one. It is no setting, since settings are shown.
	tokenVariable = "CAIRN_TOKEN"
	// shortestToken and longestToken bound a token, in characters.
	shortestToken, longestToken = 32, 4096
	// tokenBytes are in a token that is made here.
	tokenBytes = 32
)

// hasToken reports whether a token is in force.
func hasToken(c config.Config) bool { return os.Getenv(tokenVariable) != "" || c.TokenFile != "" }

// credentials are what the configuration names and does not hold.
type credentials struct {
	token       httpapi.Token
	certificate *tls.Certificate // nil without TLS
}

// loadCredentials reads the token and the certificate. A token file that is not
// there is made.
func loadCredentials(c config.Config, log *slog.Logger) (credentials, error) {
	for what, path := range map[string]string{"key of TLS": c.TLSKey, "key of the cloud": c.Key} {
		if info, err := os.Stat(path); path != "" && err == nil && isOpenToOthers(info) {
			log.Warn("others than its owner may read the file with the "+what, "file", path, "mode", info.Mode().Perm().String())
		}
	}
	var found credentials
	text, err := token(c, log)
	if err != nil {
		return found, err
	}
	if text != "" {
		found.token = httpapi.NewToken(text)
	}
	if c.TLSCert != "" {
		certificate, err := loadCertificate(c.TLSCert, c.TLSKey)
		if err != nil {
			return found, err
		}
		found.certificate = &certificate
	}
	return found, nil
}

// access returns who the configuration lets in.
func access(c config.Config, found credentials) httpapi.Access {
	return httpapi.Access{Hosts: c.AllowHosts, Origins: c.AllowOrigins, Token: found.token}
}

// token returns the token in force, or "": that of the environment, or else of the
// file.
func token(c config.Config, log *slog.Logger) (string, error) {
	if text := os.Getenv(tokenVariable); text != "" {
		return text, checkToken(text, "The token of the variable "+tokenVariable)
	}
	if c.TokenFile == "" {
		return "", nil
	}
	text, err := readToken(c.TokenFile, log)
	if errors.Is(err, fs.ErrNotExist) {
		return makeToken(c.TokenFile, log)
	}
	if err != nil {
		return "", cairn.FileError("reading", c.TokenFile, err)
	}
	return text, checkToken(text, "The token in "+c.TokenFile)
}

// readToken reads a token file, and keeps others from doing so where it can.
func readToken(path string, log *slog.Logger) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().IsRegular() && isOpenToOthers(info) {
		mode := info.Mode().Perm().String()
		if err := f.Chmod(0o600); err != nil { // a secret of a container is another user's, or on a file system that nobody can write to
			log.Warn("others than its owner can read the file with the token, and its mode cannot be changed", "file", path, "mode", mode, "err", err)
		} else {
			log.Warn("other users could read the token; now they cannot, but if one may have, make a new one", "file", path, "mode", mode)
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, longestToken+2))
	return strings.TrimSpace(string(text)), err
}

// makeToken makes a token file.
func makeToken(path string, log *slog.Logger) (string, error) {
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // it never fails
	text := hex.EncodeToString(random)
	if err := durable.WriteFile(path, []byte(text+"\n")); err != nil {
		return "", cairn.FileError("writing", path, err)
	}
	log.Info("a token was made", "file", path)
	return text, nil
}

// checkToken refuses a token that could be guessed, or that no header can have. What
// is its name in words.
func checkToken(text, what string) error {
	e := &cairn.Error{Code: cairn.CodeInvalid, Hint: "Make one with openssl rand -hex 32, or name a file that is not there: then cairn makes it."}
	switch n := len(text); {
	case n < shortestToken:
		e.Message = fmt.Sprintf("%s has %d characters; below %d it could be guessed.", what, n, shortestToken)
	case n > longestToken:
		e.Message = fmt.Sprintf("%s has more than %d characters.", what, longestToken)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		e.Message = what + " has a character other than letters, digits and signs of ASCII, such as a space or a second line."
	default:
		return nil
	}
	return e
}

// checkPair returns an error when the one of two files is named, and the other is
// not.
func checkPair(c config.Config) error {
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		return errors.New("tls_cert comes without tls_key: TLS takes the certificate and its key")
	case c.TLSCert == "" && c.TLSKey != "":
		return errors.New("tls_key comes without tls_cert: TLS takes the certificate and its key")
	}
	return nil
}

// loadCertificate reads a certificate and its key.
func loadCertificate(certFile, keyFile string) (tls.Certificate, error) {
	var none tls.Certificate
	for _, path := range []string{certFile, keyFile} {
		f, err := os.Open(path)
		if err != nil {
			return none, cairn.FileError("reading", path, err)
		}
		_ = f.Close() // it was not read
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return none, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: fmt.Sprintf("%s and %s are no certificate and its key: %s.", certFile, keyFile, strings.TrimPrefix(err.Error(), "tls: ")),
			Hint:    "Both are in PEM; the certificate stands before those above it, and the key is not encrypted.",
			Err:     err,
		}
	}
	return certificate, nil
}

// secured returns how TLS is spoken with the certificate that current has, which may
// change; nil when there is none now. HTTP/2 is off: websockets need HTTP/1.1, and
// what is served here gains nothing from it.
func secured(current *atomic.Pointer[tls.Certificate]) *tls.Config {
	if current.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
	}
}

// openAddresses reads what is wanted of those who use the daemon, and opens what it
// listens on.
func (d *daemonProcess) openAddresses() (err error) {
	if d.credentials, err = loadCredentials(d.config, d.log); err != nil {
		return err
	}
	d.certificate.Store(d.credentials.certificate)
	if err := removeSockets(d.dir); err != nil {
		return err
	}
	d.listeners, err = listen(d.config, d.dir, secured(&d.certificate), mostConnections, d.log)
	return err
}

// keepFolders keeps other users out of the data folder, and of the one with the keys,
// which may be a link to elsewhere.
func (d *daemonProcess) keepFolders() error {
	if err := refuseShared(d.dir); err != nil {
		return err
	}
	if err := keepPrivate(d.dir, d.log); err != nil {
		return err
	}
	err := keepPrivate(filepath.Join(d.dir, keysFolder), d.log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is made later
	}
	return err
}

// refuseShared returns an error when a folder is open to others and has things that
// are not ours: keeping others out would take these from them.
func refuseShared(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return cairn.FileError("looking at", dir, err)
	}
	if !isOpenToOthers(info) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return cairn.FileError("looking at", dir, err)
	}
	isOurs := func(entry fs.DirEntry) bool {
		return slices.Contains([]string{lockFile, device.FileName, database.CurrentFile}, entry.Name())
	}
	if len(entries) == 0 || slices.ContainsFunc(entries, isOurs) {
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeInUse,
		Message: fmt.Sprintf("The folder %s is no data folder, other users can look into it, and it is not empty.", dir),
		Hint:    "Choose another one with --data; or if it is for cairn alone, keep the others out with chmod 700.",
	}
}
