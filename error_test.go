package cairn_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"cairn"
)

func TestErrorText(t *testing.T) {
	for _, test := range []struct {
		err  cairn.Error
		want string
	}{
		{cairn.Error{Code: cairn.CodeGone, Message: "It is gone.", Hint: "Look elsewhere."}, "It is gone."},
		{cairn.Error{Message: "It failed.", Err: io.EOF}, "It failed. (EOF)"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("Error() = %q, want %q", got, test.want)
		}
	}
}

func TestErrorIs(t *testing.T) {
	full := &cairn.Error{Code: cairn.CodeGone, Message: "m", Hint: "h", Err: io.EOF}
	wrapped := fmt.Errorf("asset: %w", full)
	for _, test := range []struct {
		name   string
		err    error
		target error
		want   bool
	}{
		{"the same code", full, &cairn.Error{Code: cairn.CodeGone}, true},
		{"the same code, wrapped", wrapped, &cairn.Error{Code: cairn.CodeGone}, true},
		{"the same code, joined", errors.Join(io.EOF, wrapped), &cairn.Error{Code: cairn.CodeGone}, true},
		{"another code", full, &cairn.Error{Code: cairn.CodeDamaged}, false},
		{"no code", full, &cairn.Error{}, false},
		{"itself", full, full, true},
		{"a target with a message", full, &cairn.Error{Code: cairn.CodeGone, Message: "m"}, false},
		{"a target with a hint", full, &cairn.Error{Code: cairn.CodeGone, Hint: "h"}, false},
		{"a target with a cause", full, &cairn.Error{Code: cairn.CodeGone, Err: io.EOF}, false},
		{"the cause", wrapped, io.EOF, true},
		{"another error", wrapped, io.ErrUnexpectedEOF, false},
		{"the code of a cause", &cairn.Error{Code: cairn.CodeInternal, Err: full}, &cairn.Error{Code: cairn.CodeGone}, true},
	} {
		if got := errors.Is(test.err, test.target); got != test.want {
			t.Errorf("%s: errors.Is = %t, want %t", test.name, got, test.want)
		}
	}
}

func TestErrorAs(t *testing.T) {
	full := &cairn.Error{Code: cairn.CodeGone, Message: "m"}
	got, ok := errors.AsType[*cairn.Error](fmt.Errorf("a: %w", errors.Join(io.EOF, full)))
	if !ok || got != full {
		t.Errorf("AsType = %v, %t, want the error itself", got, ok)
	}
}

func TestCodeOf(t *testing.T) {
	gone := &cairn.Error{Code: cairn.CodeGone}
	for _, test := range []struct {
		name string
		err  error
		want cairn.Code
	}{
		{"nil", nil, ""},
		{"another error", io.EOF, cairn.CodeInternal},
		{"an Error", gone, cairn.CodeGone},
		{"wrapped", fmt.Errorf("a: %w", gone), cairn.CodeGone},
		{"joined behind another", errors.Join(io.EOF, gone), cairn.CodeGone},
		{"the outer one of two", &cairn.Error{Code: cairn.CodeDamaged, Err: gone}, cairn.CodeDamaged},
	} {
		if got := cairn.CodeOf(test.err); got != test.want {
			t.Errorf("CodeOf(%s) = %q, want %q", test.name, got, test.want)
		}
	}
}
