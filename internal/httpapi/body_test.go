package httpapi_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
)

// An upload is a request whose body is sent in pieces, to a server in a bubble.
type upload struct {
	*connection
	conn     net.Conn
	answered chan answer // gets the one answer
}

// upload sends the header of a request, and the begin of its body.
func (s *stage) upload(header, begin string) *upload {
	s.t.Helper()
	return s.uploadTo("/connect", "application/json", header, begin)
}

// uploadTo is upload to a path.
func (s *stage) uploadTo(path, media, header, begin string) *upload {
	s.t.Helper()
	conn, err := s.pipes.Dial()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	u := &upload{connection: newConnection(s.t, conn), conn: conn, answered: make(chan answer, 1)}
	go func() {
		if a, err := u.answer("POST", path); err == nil {
			u.answered <- a
		}
	}()
	u.send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + media + "\r\n" + header + "\r\n" + begin)
	return u
}

// send sends a piece, which the server need not take.
func (u *upload) send(piece string) {
	go func() { _, _ = io.WriteString(u.conn, piece) }()
	synctest.Wait()
}

// status returns the status of the answer, 0 while there is none.
func (u *upload) status() int {
	synctest.Wait()
	select {
	case a := <-u.answered:
		u.answered <- a
		return a.status
	default:
		return 0
	}
}

// large is how a body begins that goes on after a megabyte.
var large = `{"x":"` + strings.Repeat("x", 1<<20)

// chunk is a piece of a body of unknown length.
func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// TestTrickle sends a byte each half a minute: a document may take ten minutes.
func TestTrickle(t *testing.T) {
	for _, begin := range []string{`{"x":"`, large} {
		perform(t, func(t *testing.T, s *stage) {
			u := s.upload("Content-Length: 10000000\r\n", begin)
			for range 19 {
				time.Sleep(30 * time.Second)
				u.send("x")
				if status := u.status(); status != 0 {
					t.Fatalf("the answer comes too early: status %d", status)
				}
			}
			time.Sleep(31 * time.Second)
			if status := u.status(); status != http.StatusRequestTimeout {
				t.Fatalf("after ten minutes the status is %d", status)
			}
			if a := <-u.answered; a.problem.Code != cairn.CodeTimeout || !strings.Contains(a.body, "was not all here after 10m0s") {
				t.Errorf("it says %s", a.body)
			}
		})
	}
}

// TestBodiesWait has three clients hold all the room for large bodies by sending
// slowly: small bodies pass them by, and large ones have their turn in the end.
func TestBodiesWait(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		const chunked = "Transfer-Encoding: chunked\r\n"
		var slow []*upload
		for range 3 { // each counts as 40 MiB of 128, since its length is not known
			slow = append(slow, s.upload(chunked, chunk(large)))
		}
		whole := large + `"}`
		header := fmt.Sprintf("Content-Length: %d\r\n", len(whole))
		if fits := s.upload(header, whole); fits.status() != 200 {
			t.Errorf("one for which there is room: status %d", fits.status())
		}
		waiting := s.upload(chunked, chunk(whole)+"0\r\n\r\n")
		behind := s.upload(header, whole)
		if waiting.status() != 0 || behind.status() != 0 {
			t.Errorf("without room: status %d, and %d behind it", waiting.status(), behind.status())
		}
		if small := s.upload("Content-Length: 2\r\n", "{}"); small.status() != 200 {
			t.Errorf("a small one: status %d", small.status())
		}
		for range 9 {
			time.Sleep(50 * time.Second)
			for _, u := range slow {
				u.send(chunk("x"))
			}
		}
		if waiting.status() != 0 {
			t.Errorf("still without room: status %d", waiting.status())
		}
		// The first one ends, well; then all that wait go on.
		slow[0].send(chunk(`"}`) + "0\r\n\r\n")
		if slow[0].status() != 200 || waiting.status() != 200 || behind.status() != 200 {
			t.Errorf("with room: status %d, %d and %d", slow[0].status(), waiting.status(), behind.status())
		}
	})
}

// TestBodiesGiveUp holds the room for longer than one may wait for it, and that
// those who leave do not keep it.
func TestBodiesGiveUp(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		const chunked = "Transfer-Encoding: chunked\r\n"
		var slow []*upload
		for range 3 {
			slow = append(slow, s.upload(chunked, chunk(large)))
		}
		waiting := s.upload(chunked, chunk(large+`"}`)+"0\r\n\r\n")
		time.Sleep(61 * time.Second) // they send nothing
		for _, u := range slow {
			if u.status() != 408 {
				t.Errorf("one that sends nothing: status %d", u.status())
			}
		}
		if waiting.status() != 200 {
			t.Errorf("behind them: status %d", waiting.status())
		}
		for range 3 {
			slow = append(slow, s.upload(chunked, chunk(large)))
		}
		for _, u := range slow[3:] {
			u.conn.Close()
		}
		if next := s.upload(chunked, chunk(large+`"}`)+"0\r\n\r\n"); next.status() != 200 {
			t.Errorf("behind those that hung up: status %d", next.status())
		}
		var late []*upload
		for range 3 {
			late = append(late, s.upload(chunked, chunk(large)))
			time.Sleep(time.Second)
		}
		again := s.upload(chunked, chunk(large))
		for range 14 {
			time.Sleep(42 * time.Second)
			for _, u := range late {
				u.send(chunk("x"))
			}
		}
		time.Sleep(20 * time.Second)
		for _, u := range late {
			if u.status() != 408 {
				t.Errorf("one that is slow: status %d", u.status())
			}
		}
		if again.status() != 408 {
			t.Errorf("one that waited and then is slow: status %d", again.status())
		}
	})
}

// TestBodiesPass has one that asks for much give up while it waits: those behind it
// that ask for what there is go on then.
func TestBodiesPass(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		const chunked = "Transfer-Encoding: chunked\r\n"
		first := s.upload(chunked, chunk(`{"x":"`)) // its ten minutes begin
		for range 10 {
			time.Sleep(50 * time.Second)
			first.send(chunk("x"))
		}
		var slow []*upload
		for range 3 {
			slow = append(slow, s.upload(chunked, chunk(large)))
		}
		first.send(chunk(strings.Repeat("x", 1<<20)))
		whole := large + `"}`
		behind := s.upload(fmt.Sprintf("Content-Length: %d\r\n", len(whole)), whole)
		for range 2 {
			if first.status() != 0 || behind.status() != 0 {
				t.Errorf("without room: status %d, and %d behind it", first.status(), behind.status())
			}
			time.Sleep(45 * time.Second)
			for _, u := range slow {
				u.send(chunk("x"))
			}
		}
		time.Sleep(15 * time.Second)
		if first.status() != 408 || behind.status() != 200 {
			t.Errorf("when it gave up: status %d, and %d behind it", first.status(), behind.status())
		}
	})
}

// TestLongLinesWait has the lines of documents, and assets, wait for their turn as
// whole bodies do, but not those that are small.
func TestLongLinesWait(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		const chunked = "Transfer-Encoding: chunked\r\n"
		var slow []*upload
		for _, path := range []string{"/v1/documents", "/backup", "/connect"} {
			begin := large + strings.Repeat("x", 1<<17)
			if path == "/backup" {
				begin = `{"iterable":[{"id":"` + installation + `","x":"` + strings.Repeat("x", 5<<20)
			}
			media := "application/json"
			slow = append(slow, s.uploadTo(path, media, chunked, chunk(begin)))
		}
		waiting := s.uploadTo("/v1/documents", "application/x-ndjson", chunked, chunk(strings.Repeat("x", 1<<20+1)+"\n")+"0\r\n\r\n")
		if waiting.status() != 0 {
			t.Errorf("without room: status %d", waiting.status())
		}
		short := s.uploadTo("/v1/documents", "application/x-ndjson", chunked, strings.Repeat(chunk(strings.Repeat("x", 1<<19)+"\n"), 20)+"0\r\n\r\n")
		if short.status() != 200 {
			t.Errorf("short lines: status %d", short.status())
		}
		for _, u := range slow {
			if u.status() != 0 {
				t.Errorf("the answer comes too early: status %d", u.status())
			}
		}
		slow[1].conn.Close()
		if waiting.status() != 200 {
			t.Errorf("with room: status %d", waiting.status())
		}
	})
}

// TestSlowAssets sends many large assets, one each half a minute: all of them may take
// longer than one of them.
func TestSlowAssets(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		large := strings.Repeat("x", 2<<20)
		u := s.uploadTo("/backup", "application/json", "Transfer-Encoding: chunked\r\n", chunk(`{"iterable":[`))
		for n := range 25 {
			u.send(chunk(fmt.Sprintf(`{"id":"00000000-0000-4000-8000-%012d","x":"%s"},`, n, large)))
			time.Sleep(30 * time.Second)
			if status := u.status(); status != 0 {
				t.Fatalf("after %d assets the status is %d: %s", n+1, status, (<-u.answered).body)
			}
		}
		for range 21 { // the last one does not come to its end
			u.send(chunk(" "))
			time.Sleep(30 * time.Second)
		}
		if status := u.status(); status != http.StatusRequestTimeout {
			t.Errorf("after ten minutes of one the status is %d", status)
		}
	})
}
