package stores

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Random returns a source that a run with CAIRN_SEED draws the same from again. The
// log of the test says which.
func Random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CAIRN_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("CAIRN_SEED: %v", err)
		}
	}
	t.Logf("CAIRN_SEED=%d draws the same again", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
