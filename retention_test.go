package cairn_test

import (
	"testing"
	"time"

	"cairn"
)

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]cairn.Span{
		"2y5m7d3h": {Years: 2, Months: 5, Days: 7, Hours: 3},
		"7d":       {Days: 7},
		"3h1y":     {Years: 1, Hours: 3},
		"100000h":  {Hours: 100_000},
		"0h":       {},
	} {
		got, err := cairn.ParseSpan(text)
		if got != want || err != nil {
			t.Errorf("ParseSpan(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := cairn.ParseSpan(got.String()); again != want || err != nil {
			t.Errorf("%+v is %q as text, which is read as %+v, %v", want, got, again, err)
		}
	}
	for _, text := range []string{"", "7", "d", "7w", "1d2d", "-1d", "1 d", " 1d", "1.5d", "100001h", "99999999999999999999h", "0d0d", "0y", "1D"} {
		if got, err := cairn.ParseSpan(text); err == nil {
			t.Errorf("ParseSpan(%q) = %+v, want an error", text, got)
		}
	}
}

func TestSpanBefore(t *testing.T) {
	at := time.Date(2024, 3, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"1h": "2024-03-31 11", "1d": "2024-03-30 12", "1m": "2024-03-02 12", "1y1m": "2023-03-03 12", "0h": "2024-03-31 12",
	} {
		span, err := cairn.ParseSpan(text)
		if got := span.Before(at).Format("2006-01-02 15"); got != want || err != nil {
			t.Errorf("%s before %v is %s, %v, want %s", text, at, got, err, want)
		}
	}
}

func TestParseCount(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "7": 7, "100000": 100_000, "-1": cairn.Unlimited, "unlimited": cairn.Unlimited} {
		if got, err := cairn.ParseCount(text); got != want || err != nil {
			t.Errorf("ParseCount(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-2", "100001", "1.0", "all", "Unlimited", "1e3"} {
		if got, err := cairn.ParseCount(text); err == nil {
			t.Errorf("ParseCount(%q) = %d, want an error", text, got)
		}
	}
}

func TestRetention(t *testing.T) {
	for _, test := range []struct {
		r           cairn.Retention
		text        string
		empty, fine bool
	}{
		{cairn.Retention{}, "", true, true},
		{cairn.Retention{Last: 3, Yearly: cairn.Unlimited, WithinDaily: cairn.Span{Days: 7}}, "--keep-last 3 --keep-yearly unlimited --keep-within-daily 7d", false, true},
		{cairn.Retention{Weekly: -2}, "--keep-weekly -2", false, false},
		{cairn.Retention{Hourly: cairn.MaxCount + 1}, "--keep-hourly 100001", false, false},
		{cairn.Retention{Within: cairn.Span{Hours: cairn.MaxCount + 1}}, "--keep-within 100001h", false, false},
		{cairn.Retention{WithinYearly: cairn.Span{Months: -1}}, "--keep-within-yearly -1m", false, false},
	} {
		if got := test.r.String(); got != test.text {
			t.Errorf("%+v is %q, want %q", test.r, got, test.text)
		}
		if got := test.r.IsEmpty(); got != test.empty {
			t.Errorf("%+v is empty: %t, want %t", test.r, got, test.empty)
		}
		if err := test.r.Validate(); (err == nil) != test.fine {
			t.Errorf("%+v: %v", test.r, err)
		}
	}
}
