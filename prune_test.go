package cairn_test

import (
	"testing"

	"cairn"
)

func TestCount(t *testing.T) {
	var c cairn.Count
	c.Add(3)
	c.Add(0)
	if c != (cairn.Count{Objects: 2, Bytes: 3}) {
		t.Errorf("counted %+v", c)
	}
}
