package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"cairn"
)

// socketFile in the data folder is the socket for the commands of this user, when a
// token or TLS is in force.
const socketFile = "socket"

// longestSocket is how many bytes the path of a socket can have. Source: sun_path of
// sockaddr_un, in unix(7) and the headers of macOS, which is one longer.
func longestSocket() int {
	switch runtime.GOOS {
	case "linux", "windows", "solaris", "illumos":
		return 107
	}
	return 103
}

// bindFolder and bindName are where a socket is before it has its mode. Both are
// short, since they count for the length of its path.
const bindFolder, bindName = ".s*", "s"

// A unixSocket is a socket that only this user can connect to.
type unixSocket struct {
	net.Listener
	path   string
	made   fs.FileInfo
	remove func() error
}

func (s *unixSocket) url() string {
	slash := filepath.ToSlash(s.path)
	if !strings.HasPrefix(slash, "/") {
		slash = "/" + slash // C:/folder
	}
	return (&url.URL{Scheme: "unix", Path: slash}).String()
}

// Close removes the socket too, unless another has taken its place.
func (s *unixSocket) Close() error {
	return errors.Join(s.Listener.Close(), s.remove())
}

// socketPath returns the path of a socket that unix: was before.
func socketPath(given string) (string, error) {
	if err := checkSocketPath(given); err != nil {
		return "", err
	}
	path, err := filepath.Abs(strings.TrimPrefix(given, "//"))
	return path, cairn.FileError("finding", given, err)
}

// checkSocketPath refuses what can be no socket.
func checkSocketPath(given string) error {
	if strings.Trim(given, "/") == "" {
		return usageError{errors.New("unix: has no path of a socket behind it: it looks like unix:/path/of/socket")}
	}
	return nil
}

// listenSocket makes a socket at path, in the place of one that nobody listens on
// any more. It is bound in a folder that no other user can enter, and moved to its
// place when it has its mode: so nobody else can connect in between.
func listenSocket(given string) (*unixSocket, error) {
	path, err := socketPath(given)
	if err != nil {
		return nil, err
	}
	if err := takeable(path); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), bindFolder) // with mode 0700
	if err != nil {
		return nil, cairn.FileError("making a socket in", filepath.Dir(path), err)
	}
	defer os.RemoveAll(folder)
	first := filepath.Join(folder, bindName)
	if most := longestSocket(); len(path) > most || len(first) > most {
		return nil, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: fmt.Sprintf("The path %s is too long for a socket: it can have %d bytes, and that of its folder %d.", path, most, most-len(first)+len(filepath.Dir(path))),
			Hint:    "Choose a shorter one.",
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: first, Net: "unix"})
	if err != nil {
		return nil, cairn.FileError("making a socket in", folder, err)
	}
	l.SetUnlinkOnClose(false) // it is not where it was bound
	s, err := moveSocket(l, first, path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

// moveSocket moves a socket that was bound to its place.
func moveSocket(l net.Listener, first, path string) (*unixSocket, error) {
	if err := os.Chmod(first, 0o600); err != nil {
		return nil, cairn.FileError("making", path, err)
	}
	made, err := os.Lstat(first)
	if err == nil {
		err = os.Rename(first, path)
	}
	if err != nil {
		return nil, cairn.FileError("making", path, err)
	}
	s := &unixSocket{Listener: l, path: path, made: made}
	s.remove = sync.OnceValue(func() error {
		if now, err := os.Lstat(path); err != nil || !os.SameFile(now, s.made) {
			return nil // it is gone, or another's
		}
		return os.Remove(path)
	})
	return s, nil
}

// takeable returns an error unless a socket can be made at path.
func takeable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return cairn.FileError("looking at", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return &cairn.Error{
			Code:    cairn.CodeInUse,
			Message: "At " + path + " is something else than a socket.",
			Hint:    "Move it away, or choose another path.",
		}
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = conn.Close() // it was a question
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil // who made it is gone
	case !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, os.ErrDeadlineExceeded):
		return cairn.FileError("looking at", path, err)
	}
	return &cairn.Error{
		Code:    cairn.CodeInUse,
		Message: "Something listens on the socket " + path + " already.",
		Hint:    "Stop it, or choose another path.",
	}
}

// removeSockets removes what a daemon that a crash ended has left of sockets in the
// data folder, whose lock is held: nobody listens there.
func removeSockets(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return cairn.FileError("tidying", dir, err)
	}
	for _, entry := range entries {
		if !entry.IsDir() || !isBindFolder(entry.Name()) {
			continue
		}
		folder := filepath.Join(dir, entry.Name())
		if err := removeSocket(filepath.Join(folder, bindName)); err != nil {
			return err
		}
		_ = os.Remove(folder) // what is not empty is not ours
	}
	return removeSocket(filepath.Join(dir, socketFile))
}

// isBindFolder reports whether listenSocket makes folders of such a name. Others may
// begin like them, .ssh does, and the data folder may be that of somebody's home.
func isBindFolder(name string) bool {
	random, ok := strings.CutPrefix(name, strings.TrimSuffix(bindFolder, "*"))
	return ok && random != "" && strings.Trim(random, "0123456789") == ""
}

// removeSocket removes a socket. What is none stays.
func removeSocket(path string) error {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		return nil // there is none
	}
	return cairn.FileError("removing", path, os.Remove(path))
}
