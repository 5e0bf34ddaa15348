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
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
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

// checkAddress refuses an address that cannot be listened on, or must not be:
// whatever is not this machine's loopback would serve the network.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return usageError{fmt.Errorf("%s is no address: it looks like 127.0.0.1:39300", cairn.Quote(address))}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return usageError{fmt.Errorf("%s has no port from 0 to 65535", cairn.Quote(address))}
	}
	if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.IsLoopback()) {
		return usageError{fmt.Errorf("%s is not an address of this machine's loopback, and cairn listens on no other: use 127.0.0.1:PORT or [::1]:PORT", cairn.Quote(address))}
	}
	return nil
}

// listenAt opens one address that was asked for.
func listenAt(address string) (net.Listener, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	cause, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return nil, &cairn.Error{
		Code:    cairn.CodeInUse,
		Message: fmt.Sprintf("The address %s cannot be bound: %v.", address, cause),
		Hint:    "Stop what uses it, or choose another with --listen; port 0 takes a free one.",
		Err:     err,
	}
}
