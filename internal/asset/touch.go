package asset

import (
	"time"

	"cairn/internal/rawjson"
)

// touch returns an asset or format with its time of change set to now.
func touch(v []byte, now time.Time) []byte {
	return describe(v, "updated", timestamp(now))
}

// resize returns a format with its size set to that of its content.
func resize(format []byte) []byte {
	return describe(format, "bytes", byteDescriptor(contentBytes(content(format))))
}

// describe sets one of the objects in which v is described to a new one. What
// the old one said in words goes; what nobody here knows stays.
func describe(v []byte, name string, value []byte) []byte {
	old := rawjson.Get(v, name)
	if !rawjson.IsObject(old) {
		return rawjson.Replace(v, name, value)
	}
	return rawjson.Replace(v, name, rawjson.Overlay(rawjson.Replace(old, "readable", rawjson.Get(value, "readable")), value))
}
