package segment

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that anybody needs to decompress an object: 8
// MiB, which the zstd tool takes without being asked. What we write has half.
const maxWindow = 8 << 20

// keepBytes is the largest buffer that an Encoder or a Decoder keeps for the
// next part. More is needed by a large document only, which is rare.
const keepBytes = 2 * PartBytes

// An Encoder makes the objects of parts. Each worker has one of its own. It
// keeps about 10 MiB from one part to the next, and the compressed bytes of one.
type Encoder struct {
	recipient  age.Recipient
	zstd       *zstd.Encoder
	compressed []byte
}

// NewEncoder returns an Encoder that encrypts for a recipient.
func NewEncoder(recipient age.Recipient) (*Encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true),
		zstd.WithEncoderCRC(false)) // age authenticates what it encrypts, and the SHA-256 of the object is known
	if err != nil {
		return nil, err
	}
	return &Encoder{recipient: recipient, zstd: z}, nil
}

// Encode appends the object that holds plain, the lines of a part, to dst. It
// returns dst and the SHA-256 of the object. The object is one zstd frame, which
// from 256 bytes on tells the size of its content, encrypted by age.
func (e *Encoder) Encode(dst, plain []byte) (object []byte, sum Sum, err error) {
	if len(plain) > keepBytes { // growing takes twice as much in the end
		e.compressed = slices.Grow(e.compressed[:0], len(plain)+len(plain)>>10)
	}
	e.compressed = e.zstd.EncodeAll(plain, e.compressed[:0])
	defer func() {
		if cap(e.compressed) > keepBytes {
			e.compressed = nil
		}
	}()
	begin := len(dst)
	out := &appender{slices.Grow(dst, encryptedBytes(len(e.compressed)))}
	w, err := age.Encrypt(out, e.recipient)
	if err == nil {
		_, err = w.Write(e.compressed)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return dst, sum, fmt.Errorf("encrypting: %w", err)
	}
	return out.b, sha256.Sum256(out.b[begin:]), nil
}

// encryptedBytes is about what age makes of n bytes for one recipient: a header
// of about 200 bytes, and 16 for each chunk of 64 KiB.
func encryptedBytes(n int) int { return n + 16*(n>>16+1) + 512 }

// appender is an io.Writer to memory.
type appender struct{ b []byte }

// Write appends p; it never fails.
func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// A Decoder reads the objects of parts. Each worker has one of its own.
type Decoder struct {
	identity   age.Identity
	zstd       *zstd.Decoder // nil behind a large part
	compressed []byte
}

// NewDecoder returns a Decoder of what was encrypted for an identity.
func NewDecoder(identity age.Identity) (*Decoder, error) {
	z, err := newZstd()
	if err != nil {
		return nil, err
	}
	return &Decoder{identity: identity, zstd: z}, nil
}

// newZstd returns what decompresses parts and refers to none yet.
func newZstd() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(maxWindow))
}

// Decode appends the lines of a part, of which object is the whole object, to
// dst. Before anything else the object is compared with what p says of it.
// Whatever the object holds, dst grows by a little over p.Plain at most. The
// error is ErrDamaged or ErrKey; dst is then returned as it was.
func (d *Decoder) Decode(dst, object []byte, p Part) (plain []byte, err error) {
	if err := p.Validate(); err != nil {
		return dst, damaged("%w", err)
	}
	if int64(len(object)) != p.Size {
		return dst, wrongSize(int64(len(object)), p.Object)
	}
	if sum := Sum(sha256.Sum256(object)); sum != p.SHA256 {
		return dst, wrongSum(sum, p.Object)
	}
	defer func() {
		if cap(d.compressed) > keepBytes {
			d.compressed = nil
			d.zstd = nil // it refers to what it has read last
		}
	}()
	if d.zstd == nil {
		if d.zstd, err = newZstd(); err != nil {
			return dst, err
		}
	}
	if d.compressed, err = decrypt(d.compressed[:0], object, d.identity); err != nil {
		return dst, err
	}
	const spare = 32 // lets the decoder copy past the end
	begin, end := len(dst), len(dst)+int(p.Plain)
	plain = extend(dst, int(p.Plain)+spare)
	plain, err = d.zstd.DecodeAll(d.compressed, plain[:begin:end+spare])
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return dst, damaged("it holds more than its %d bytes of lines", p.Plain)
	case err != nil:
		return dst, damaged("it cannot be decompressed: %w", err)
	case len(plain) != end:
		return dst, damaged("it holds %d bytes of lines, not %d", len(plain)-begin, p.Plain)
	}
	return plain, nil
}

// decrypt appends to dst what the object holds.
func decrypt(dst, object []byte, identity age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(object), identity)
	if err != nil {
		return dst, undecryptable(err)
	}
	dst = extend(dst, len(object)) // it is less
	for {
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, undecryptable(err)
		}
	}
}

// extend returns dst with room for n more bytes. Where that takes new memory it is
// little more than asked for, and what lay behind the end of dst is not copied to
// it, as slices.Grow does: a Decoder's time goes into touching memory.
func extend(dst []byte, n int) []byte {
	if n <= cap(dst)-len(dst) {
		return dst
	}
	room := len(dst) + n
	return append(make([]byte, 0, room+room>>3), dst...)
}

// undecryptable tells a foreign key from damage.
func undecryptable(err error) error {
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return ErrKey
	}
	return damaged("it cannot be decrypted: %w", err)
}

// wrongSize says that an object does not have its size.
func wrongSize(got int64, want Object) error {
	return damaged("it has %d bytes, not %d", got, want.Size)
}

// wrongSum says that an object is not the one that was written.
func wrongSum(got Sum, want Object) error {
	return damaged("its SHA-256 is %s, not %s", got, want.SHA256)
}
