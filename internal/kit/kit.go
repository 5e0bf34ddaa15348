// Package kit makes the recovery kit: what a person keeps on paper to read the
// backups of a cloud when the computer is gone.
//
//	k := kit.Kit{Cloud: id, URL: url, Key: key, PublicKey: recipient, Device: name, Created: time.Now()}
//	os.Stdout.Write(k.Text())
//	html, err := k.Page()         // one page, to print
//	kept := k.Acknowledges(code)  // what somebody read off it
package kit

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"
	"time"
	"unicode"

	"cairn"
)

// A Kit is what a person keeps on paper to read the backups of one cloud without
// this computer.
type Kit struct {
	Cloud     string       // id
	URL       string       // where the cloud is; it holds no secret
	Key       cairn.Secret // AGE-SECRET-KEY-1...
	PublicKey string       // age1...
	Device    string       // name of the computer on which the kit is made
	Created   time.Time
	// Passphrases is how many open the cloud without the kit; negative where that is
	// not known.
	Passphrases int
	// Local says that the backups are on this computer only.
	Local bool
}

// checkInfo separates the check code from whatever else is derived from a key.
const checkInfo = "cairn recovery kit v1"

// checkBytes is the length of a check code: 40 bits. Who guesses one of them has
// said that a kit is kept, and learns nothing.
const checkBytes = 5

// crockford is the alphabet of check codes, without letters that look like
// digits: https://www.crockford.com/base32.html.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Check returns the check code, XXXX-XXXX, which shows that somebody has the kit
// at hand. It takes Cloud and Key alone:
//
//	HKDF-SHA256( secret: Key, salt: Cloud, info: "cairn recovery kit v1", 5 bytes )
//
// in Crockford's base 32. It is of no use for finding the key.
func (k Kit) Check() string {
	sum, err := hkdf.Key(sha256.New, []byte(k.Key.Reveal()), []byte(k.Cloud), checkInfo, checkBytes)
	if err != nil {
		panic("kit: " + err.Error()) // only for lengths that HKDF does not have
	}
	code := base32.NewEncoding(crockford).EncodeToString(sum)
	return code[:4] + "-" + code[4:]
}

// Acknowledges reports whether code is the check code. Small letters, spaces and
// hyphens do not matter, nor whether O and 0, or I, L and 1, were told apart.
func (k Kit) Acknowledges(code string) bool {
	return subtle.ConstantTimeCompare([]byte(bare(code)), []byte(bare(k.Check()))) == 1
}

// bare returns the characters of a check code that count.
func bare(code string) string {
	return strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(code))
}

// KeyFile returns the key as a file that cairn takes with --key, and age with -i.
// It is what the QR code on the page holds.
func (k Kit) KeyFile() cairn.Secret {
	return cairn.NewSecret("# cairn cloud " + printable(k.Cloud) + "\n# " + printable(k.URL) + "\n" + k.Key.Reveal() + "\n")
}

// printable leaves out what would begin a line, or mean something to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// keyStart is how all keys begin, and groupSize how many characters of what
// follows are typed at once.
const (
	keyStart  = "AGE-SECRET-KEY-1"
	groupSize = 5
)

// groups cuts the key into pieces that can be typed.
func (k Kit) groups() []string {
	rest, ok := strings.CutPrefix(k.Key.Reveal(), keyStart)
	var all []string
	if ok {
		all = append(all, keyStart)
	}
	for len(rest) > groupSize {
		all = append(all, rest[:groupSize])
		rest = rest[groupSize:]
	}
	return append(all, rest)
}
