package kit

import (
	"fmt"
	"html/template"
	"strings"

	goqr "github.com/piglig/go-qr"
)

// quiet is the light border of a QR code in modules (ISO/IEC 18004, 6.3.8).
const quiet = 4

// largestSharp is the largest version of a QR code that is kept readable with a
// quarter of it lost. Larger ones get finer on paper, which costs more than the
// correction gains.
const largestSharp = 20

// drawQR returns a QR code as an SVG element, whose size is for the style sheet to
// say. It is an error when text is longer than one can be: 2,331 bytes.
func drawQR(text string) (template.HTML, error) {
	code, err := goqr.EncodeText(text, goqr.Quartile)
	if err != nil || code.Size() > 17+4*largestSharp {
		code, err = goqr.EncodeText(text, goqr.Medium)
	}
	if err != nil {
		return "", fmt.Errorf("the key and the URL do not fit into a QR code: %w", err)
	}
	side := code.Size() + 2*quiet
	var path strings.Builder
	for y := range code.Size() {
		for x := 0; x < code.Size(); x++ {
			run := x
			for run < code.Size() && code.Module(run, y) {
				run++
			}
			if run > x {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run-x, run-x)
				x = run
			}
		}
	}
	return template.HTML(fmt.Sprintf(`<svg class="qr" viewBox="0 0 %d %d" shape-rendering="crispEdges" role="img" aria-label="QR code of the key file">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`, side, side, side, side, path.String())), nil
}
