package kit

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var styleSource string

// Page returns the kit as one HTML file, which prints on one page of A4 or Letter.
// It asks for nothing and runs nothing: no script, no other file. It holds the key,
// also in a QR code, which is an error when the URL is too long for one.
func (k Kit) Page() ([]byte, error) {
	qr, err := drawQR(k.KeyFile().Reveal())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(styleSource))
	v := struct {
		view
		QR     template.HTML
		Style  template.CSS
		Policy string
	}{
		k.viewOf(), qr, template.CSS(styleSource),
		"default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
	}
	page, err := template.New("page").Parse(pageSource)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, v)
	return b.Bytes(), err
}
