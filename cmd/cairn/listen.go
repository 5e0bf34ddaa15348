package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"cairn"
)

const (
	// sdkPort is where the SDKs look by default; it is privileged on Linux.
	sdkPort = 1000
	// firstPort to lastPort is where later clients look.
	firstPort, lastPort = 39300, 39333
)

// listen opens the given address, or the default ones.
func listen(address string, log *slog.Logger) ([]net.Listener, error) {
	if address != "" {
		l, err := listenAt(address)
		return []net.Listener{l}, err
	}
	listeners, err := listenPort(sdkPort)
	if err != nil {
		log.Info("port 1000, where the SDKs look first, cannot be bound", "err", err)
	}
	for port := firstPort; port <= lastPort; port++ {
		if more, err := listenPort(port); err == nil {
			return append(listeners, more...), nil
		}
	}
	if len(listeners) > 0 {
		log.Warn("no port of 39300 to 39333 is free")
		return listeners, nil
	}
	return nil, &cairn.Error{
		Code:    cairn.CodeInUse,
		Message: "None of the ports 1000 and 39300 to 39333 can be bound.",
		Hint:    "Stop what uses them, or choose an address with --listen, such as 127.0.0.1:0 for any free port.",
	}
}

// listenPort opens the port on both loopback addresses, since localhost may
// mean either; a machine without IPv6 has only one.
func listenPort(port int) ([]net.Listener, error) {
	p := strconv.Itoa(port)
	four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", p))
	if err != nil {
		return nil, err
	}
	six, err := net.Listen("tcp6", net.JoinHostPort("::1", p))
	switch {
	case err == nil:
		return []net.Listener{four, six}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, errors.Join(err, four.Close())
	}
	return []net.Listener{four}, nil
}

// listenAt opens one address that was asked for.
func listenAt(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError{fmt.Errorf("%q is no address: it looks like 127.0.0.1:39300", address)}
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !addr.IsLoopback() {
		return nil, usageError{fmt.Errorf("%q is not an address of this machine's loopback, and cairn listens on no other: use 127.0.0.1:PORT or [::1]:PORT", address)}
	}
	l, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.EACCES):
		return nil, &cairn.Error{
			Code:    cairn.CodeInUse,
			Message: fmt.Sprintf("The address %s cannot be bound: %v.", address, errors.Unwrap(err)),
			Hint:    "Stop what uses it, or choose another with --listen; port 0 takes a free one.",
			Err:     err,
		}
	}
	return nil, fmt.Errorf("listening on %s: %w", address, err)
}
