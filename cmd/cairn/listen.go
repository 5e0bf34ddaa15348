package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"cairn"
	"cairn/internal/config"
)

const (
	// sdkPort is where the SDKs look by default; it is privileged on Linux.
	sdkPort = 1000
	// firstPort to lastPort is where later clients look.
	firstPort, lastPort = 39300, 39333
	// mostConnections is how many there can be at the same time, over TCP together
	// and over a socket as many besides, websockets counted.
	mostConnections = 1024
)

// A listener is what the daemon listens on.
type listener struct {
	net.Listener
	url string // that leads there
}

// listen opens what the configuration says, over TCP with TLS if secure is not nil.
// Where that takes more than a loopback address from who wants to use it, a socket
// in the data folder is for the commands of this user. Over TCP there can be most
// connections, and as many over the socket, which others thus cannot use up.
func listen(c config.Config, dir string, secure *tls.Config, most int, log *slog.Logger) ([]listener, error) {
	limit := newConnLimit(most)
	if path, ok := strings.CutPrefix(c.Listen, "unix:"); ok {
		l, err := listenSocket(path)
		if err != nil {
			return nil, err
		}
		return []listener{{limit.on(l), l.url()}}, nil
	}
	opened, err := listenTCP(c.Listen, log)
	if err != nil {
		return nil, err
	}
	var listeners []listener
	for _, l := range opened {
		if !isLoopback(l.Addr()) && secure == nil {
			log.Warn("what is sent to this address, the token too, can be read on the network: tls_cert and tls_key would keep it from that", "address", l.Addr())
		}
		address := l.Addr().String()
		l = limit.on(l)
		if secure == nil {
			listeners = append(listeners, listener{l, "http://" + address})
		} else {
			listeners = append(listeners, listener{tls.NewListener(l, secure), "https://" + address})
		}
	}
	if !hasToken(c) && secure == nil {
		return listeners, nil
	}
	l, err := listenSocket(filepath.Join(dir, socketFile))
	if err != nil {
		log.Warn("there is no socket for the commands of this user, who need CAIRN_TOKEN, or CAIRN_URL with the name in the certificate", "err", err)
		return listeners, nil
	}
	return append(listeners, listener{newConnLimit(most).on(l), l.url()}), nil
}

// isLoopback reports whether only this machine can reach an address.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// commandsURL returns the address for the commands of this user: the socket, or else
// the first.
func commandsURL(listeners []listener) string {
	for _, l := range listeners {
		if strings.HasPrefix(l.url, "unix:") {
			return l.url
		}
	}
	return calledURL(listeners[0].url)
}

// calledURL returns the URL by which this machine calls an address: that of loopback
// for all addresses together, which is no name of a host.
func calledURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	at, err := netip.ParseAddrPort(u.Host)
	if err != nil || !at.Addr().IsUnspecified() {
		return address
	}
	u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	return u.String()
}

// listenTCP opens the given address, or the default ones.
func listenTCP(address string, log *slog.Logger) ([]net.Listener, error) {
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
// whatever is not this machine's loopback serves the network, and that takes a
// token.
func checkAddress(c config.Config) error {
	if path, ok := strings.CutPrefix(c.Listen, "unix:"); ok {
		return checkSocketPath(path)
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return usageError{fmt.Errorf("%s is no address: it looks like 127.0.0.1:39300, or unix:/path/of/socket", cairn.Quote(c.Listen))}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return usageError{fmt.Errorf("%s has no port from 0 to 65535", cairn.Quote(c.Listen))}
	}
	addr, err := netip.ParseAddr(host)
	if loopback := host == "localhost" || err == nil && addr.IsLoopback(); !loopback && !hasToken(c) {
		return usageError{fmt.Errorf("%s is not an address of this machine's loopback, and serves the network: that takes a token, from a file that --token-file names, which is made if it is not there; else use 127.0.0.1:PORT or [::1]:PORT", cairn.Quote(c.Listen))}
	}
	return nil
}

// listenAt opens one address that was asked for.
func listenAt(address string) (net.Listener, error) {
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
