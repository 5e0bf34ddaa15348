package httpapi

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"

	"cairn"
	"cairn/internal/rawjson"
)

// readAssets reads the Assets of POST /backup to a spool in the folder, and
// checks all of them before it returns. One of them is in memory at a time. The
// caller removes the spool, also one that is nil.
func readAssets(r *http.Request, folder string) (*spool, error) {
	if r.ContentLength > maxAssetsBytes {
		return nil, assetsTooLarge()
	}
	in := bufio.NewReaderSize(r.Body, pieceBytes)
	switch _, err := in.Peek(1); {
	case errors.Is(err, io.EOF):
		return &spool{all: true}, nil
	case err != nil:
		return nil, readError(err)
	}
	if err := wantMedia(r, isJSON, "application/json"); err != nil {
		return nil, err
	}
	body := &assetsBody{r: in, turn: func() error { return takeTurn(r) }}
	defer endTurn(r) // they are in the file then
	p := assetsParser{body: body, dec: json.NewDecoder(body), ids: map[[16]byte]struct{}{}, added: func() { renewTime(r) }}
	var err error
	if p.out, err = newSpool(folder); err != nil {
		return nil, err
	}
	if err = p.parse(); err == nil {
		err = p.out.finish()
	}
	if err != nil {
		return nil, errors.Join(err, p.out.remove())
	}
	return p.out, nil
}

// assetsParser reads {"iterable":[Asset, ...], ...}.
type assetsParser struct {
	body *assetsBody
	dec  *json.Decoder
	out  *spool
	ids  map[[16]byte]struct{} // 128 bits of the SHA-256 of each id
	text json.RawMessage       // of one value, used again for the next
	// added is called for each asset that is in out.
	added func()
}

// parse reads the body to its end.
func (p *assetsParser) parse() error {
	first, err := p.token()
	switch {
	case err != nil:
		return err
	case first == nil:
		p.out.all = true
		return p.end()
	case first != json.Delim('{'):
		return badAssets("The body is JSON, but not an object.")
	}
	members, listed := 0, false
	for p.dec.More() {
		members++
		name, err := p.token()
		switch {
		case err != nil:
			return err
		case name != "iterable":
			err = p.value("A member of the body")
		case listed:
			err = badAssets("The body has iterable twice.")
		default:
			listed, err = true, p.list()
		}
		if err != nil {
			return err
		}
	}
	if _, err := p.token(); err != nil { // the closing brace
		return err
	}
	switch {
	case members == 0:
		p.out.all = true
	case !listed:
		return badAssets("The body has no iterable.")
	case len(p.ids) == 0:
		return badAssets("The body has no assets in its iterable.")
	}
	return p.end()
}

// list reads the value of iterable.
func (p *assetsParser) list() error {
	open, err := p.token()
	switch {
	case err != nil:
		return err
	case open != json.Delim('['):
		return badAssets("The iterable of the body is not a list.")
	}
	for p.dec.More() {
		if len(p.ids) == maxAssets {
			return tooManyAssets()
		}
		where := fmt.Sprintf("Asset %d of the body", len(p.ids)+1)
		if err := p.value(where); err != nil {
			return err
		}
		doc, err := assetOf(p.text, where)
		if err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(doc.ID))
		key := [16]byte(sum[:])
		if _, ok := p.ids[key]; ok {
			return badAssets("The asset " + cairn.Quote(doc.ID) + " comes twice.")
		}
		p.ids[key] = struct{}{}
		if err := p.out.add(doc); err != nil {
			return err
		}
		p.added()
	}
	_, err = p.token() // the closing bracket
	return err
}

// value reads the next value into p.text, compacted.
func (p *assetsParser) value(where string) error {
	p.bound(where)
	if err := p.dec.Decode(&p.text); err != nil {
		return p.failure(err)
	}
	text, err := rawjson.Compact(p.text[:0], p.text)
	if err != nil {
		return notJSON(where, err)
	}
	p.text = text
	return nil
}

func (p *assetsParser) token() (json.Token, error) {
	p.bound("A member of the body")
	t, err := p.dec.Token()
	if err != nil {
		return nil, p.failure(err)
	}
	return t, nil
}

// end returns an error unless the body ends here.
func (p *assetsParser) end() error {
	p.bound("What follows the value")
	switch _, err := p.dec.Token(); {
	case errors.Is(err, io.EOF):
		return p.body.fault()
	case err != nil && p.body.fault() != nil:
		return p.body.fault()
	}
	return notJSON("The body", errors.New("something follows the value"))
}

// bound sets how far the next value may reach.
func (p *assetsParser) bound(where string) {
	p.body.most, p.body.where = p.dec.InputOffset()+maxBodyBytes, where
}

// failure says why the decoder could not go on.
func (p *assetsParser) failure(err error) error {
	switch {
	case p.body.fault() != nil:
		return p.body.fault()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return notJSON("The body", errors.New("the text ends too early"))
	}
	return notJSON("The body", err)
}

// assetsBody is the body of POST /backup, within its bounds and UTF-8.
type assetsBody struct {
	r     io.Reader
	read  int64        // bytes so far
	most  int64        // that may be read before the value is complete that is
	where string       // the words for that value
	turn  func() error // waits until there is room for a large value
	rest  []byte       // the begin of a character whose end is still to come
	err   error        // that ended it
}

// fault returns what is wrong with the body, nil when it just ended.
func (b *assetsBody) fault() error {
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

func (b *assetsBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	room := min(b.most, maxAssetsBytes+1) - b.read
	if room <= 0 {
		b.err = assetTooLarge(b.where)
		return 0, b.err
	}
	if b.read-(b.most-maxBodyBytes) > largeBody {
		if b.err = b.turn(); b.err != nil {
			return 0, b.err
		}
	}
	n, err := fill(b.r, p[:min(int64(len(p)), room)])
	if b.read += int64(n); b.read > maxAssetsBytes {
		b.err = assetsTooLarge()
		return 0, b.err
	}
	if b.err = b.check(p[:n]); b.err != nil {
		return 0, b.err
	}
	switch {
	case errors.Is(err, io.EOF) && len(b.rest) > 0:
		b.err = b.notUTF8(len(b.rest))
	case errors.Is(err, io.EOF):
		b.err = io.EOF
	case err != nil:
		b.err = readError(err)
	}
	return n, b.err
}

// fill reads until p is full, or an error ends it. The decoder looks through long
// white space anew after each read, so there must not be many.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// check returns an error unless the bytes read so far, of which p are the last,
// can begin UTF-8 text.
func (b *assetsBody) check(p []byte) error {
	for len(b.rest) > 0 && len(p) > 0 && !utf8.FullRune(b.rest) {
		b.rest, p = append(b.rest, p[0]), p[1:]
	}
	if utf8.FullRune(b.rest) { // nothing is no full rune
		if !utf8.Valid(b.rest) {
			return b.notUTF8(len(p) + len(b.rest))
		}
		b.rest = b.rest[:0]
	}
	for i := 1; i < min(utf8.UTFMax, len(p)+1); i++ {
		if at := len(p) - i; utf8.RuneStart(p[at]) {
			if !utf8.FullRune(p[at:]) {
				b.rest, p = append(b.rest, p[at:]...), p[:at]
			}
			break
		}
	}
	if utf8.Valid(p) {
		return nil
	}
	for {
		c, size := utf8.DecodeRune(p)
		if c == utf8.RuneError && size == 1 {
			return b.notUTF8(len(p) + len(b.rest))
		}
		p = p[size:]
	}
}

// notUTF8 tells of a fault so many bytes before the last one read.
func (b *assetsBody) notUTF8(before int) error {
	return notJSON("The body", &rawjson.SyntaxError{Offset: int(b.read) - before, Reason: "the text is not UTF-8", UTF8: true})
}
