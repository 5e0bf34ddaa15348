package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn"
)

// skew is how far the clock of the bucket may be ahead of ours before what it
// says counts as the future.
const skew = time.Hour

// Keep decides which backups stay, in the order in which they are told: newest
// first. Installations are judged each by itself, in the terms of restic forget,
// with hours and days as they are in zone.
//
// What no rule keeps stays nevertheless when it is the newest backup of its line,
// when it holds chosen documents, and when it is later than now, since then a
// clock was wrong. An empty policy keeps everything.
//
// The time of a backup is that of its manifest in the bucket. It is wrong for all
// that was copied to where it is, or brought back from the trash. The time of its
// device is wrong when that clock was. So a backup stays when the policy keeps
// it by either.
func Keep(policy cairn.Retention, backups []cairn.DatedBackup, now time.Time, zone *time.Location) []cairn.Decision {
	decisions := make([]cairn.Decision, len(backups))
	groups := map[string][]*cairn.Decision{}
	for i, b := range backups {
		d := &decisions[i]
		d.DatedBackup = b
		switch {
		case policy.IsEmpty():
			d.Reasons = []string{"policy is empty"}
		case b.Scope != cairn.ScopeAll:
			d.Reasons = []string{"holds chosen documents"}
		case b.Modified.After(now.Add(skew)):
			d.Reasons = []string{"in the future"}
		default:
			groups[b.Installation] = append(groups[b.Installation], d)
		}
	}
	for _, group := range groups {
		judge(policy, group, zone)
	}
	for _, d := range newestOfLines(decisions) {
		d.Reasons = append(d.Reasons, "newest of its line")
	}
	for i := range decisions {
		decisions[i].Keep = len(decisions[i].Reasons) > 0
	}
	slices.SortFunc(decisions, func(a, b cairn.Decision) int {
		return newestFirst(a.DatedBackup, b.DatedBackup, a.Modified, b.Modified)
	})
	return decisions
}

// newestFirst compares two backups of some times.
func newestFirst(a, b cairn.DatedBackup, timeA, timeB time.Time) int {
	return cmp.Or(timeB.Compare(timeA), cmp.Compare(b.Revision, a.Revision), strings.Compare(b.ID, a.ID))
}

// newestOfLines returns the newest backup of each line. No clock has a say in it.
func newestOfLines(decisions []cairn.Decision) map[string]*cairn.Decision {
	newest := map[string]*cairn.Decision{}
	for i := range decisions {
		d := &decisions[i]
		if d.Scope != cairn.ScopeAll {
			continue
		}
		other := newest[d.Line]
		if other == nil || cmp.Or(cmp.Compare(d.Revision, other.Revision), d.Modified.Compare(other.Modified), strings.Compare(d.ID, other.ID)) > 0 {
			newest[d.Line] = d
		}
	}
	return newest
}

// judge gives reasons to those of one installation that the policy keeps.
func judge(policy cairn.Retention, group []*cairn.Decision, zone *time.Location) {
	ofBucket := func(d *cairn.Decision) time.Time { return d.Modified.In(zone) }
	ofDevice := func(d *cairn.Decision) time.Time {
		if d.Created.Before(d.Modified) {
			return d.Created.In(zone)
		}
		return d.Modified.In(zone) // it was made before it was written
	}
	byBucket, byDevice := reasons(policy, group, ofBucket), reasons(policy, group, ofDevice)
	for _, d := range group {
		d.Reasons = byBucket[d]
		if len(d.Reasons) > 0 {
			continue
		}
		for _, reason := range byDevice[d] {
			d.Reasons = append(d.Reasons, reason+" by the clock of its device")
		}
	}
}

// reasons returns the reasons to keep each backup of a group, if its time is what
// timeOf says.
func reasons(policy cairn.Retention, group []*cairn.Decision, timeOf func(*cairn.Decision) time.Time) map[*cairn.Decision][]string {
	group = slices.SortedFunc(slices.Values(group), func(a, b *cairn.Decision) int {
		return newestFirst(a.DatedBackup, b.DatedBackup, timeOf(a), timeOf(b))
	})
	rules := rulesOf(policy, timeOf(group[0]))
	kept := map[*cairn.Decision][]string{}
	for i, d := range group {
		for _, r := range rules {
			if reason := r.keeps(timeOf(d), i, i == len(group)-1); reason != "" {
				kept[d] = append(kept[d], reason)
			}
		}
	}
	return kept
}

// A rule is one of a policy, and how far it has come from the newest backup to the
// oldest.
type rule struct {
	unit  string     // of which it keeps one each: hourly, ...; last for each backup; "" for all
	count int        // how many it keeps; cairn.Unlimited for all
	span  cairn.Span // of a rule of time, else empty
	since time.Time  // the moment that is the span before the newest backup

	kept int
	last [4]int // the period of the one that was kept last
}

// rulesOf returns the rules of a policy for backups of which the newest is of some
// time.
func rulesOf(policy cairn.Retention, newest time.Time) (rules []*rule) {
	for unit, n := range policy.Counts() {
		if *n != 0 {
			rules = append(rules, &rule{unit: unit, count: *n})
		}
	}
	for name, span := range policy.Spans() {
		if *span != (cairn.Span{}) {
			unit := strings.TrimPrefix(strings.TrimPrefix(name, "within"), "-")
			rules = append(rules, &rule{unit: unit, count: cairn.Unlimited, span: *span, since: span.Before(newest)})
		}
	}
	return rules
}

// keeps returns why the next backup stays, or "". It stays when it is the first of
// its period; the oldest of all also when it is not, as long as the rule could
// keep more, since then there is no older period.
func (r *rule) keeps(t time.Time, index int, oldest bool) string {
	if !t.After(r.since) || r.kept == r.count {
		return ""
	}
	words := make([]string, 0, 4)
	at := period(r.unit, t, index)
	if r.kept > 0 && at == r.last {
		if !oldest {
			return ""
		}
		words = append(words, "oldest")
	}
	r.kept++
	r.last = at
	if r.unit != "" {
		words = append(words, r.unit)
	}
	switch {
	case r.span != (cairn.Span{}):
		words = append(words, "within "+r.span.String())
	case r.count == cairn.Unlimited:
		words = append(words, fmt.Sprint(r.kept))
	default:
		words = append(words, fmt.Sprintf("%d of %d", r.kept, r.count))
	}
	return strings.Join(words, " ")
}

// period returns in which of the periods of a unit a time is. Each backup is in one
// of its own if the unit is no period.
func period(unit string, t time.Time, index int) [4]int {
	year, month, day := t.Date()
	switch unit {
	case "hourly":
		return [4]int{year, int(month), day, t.Hour()}
	case "daily":
		return [4]int{year, int(month), day}
	case "weekly":
		year, week := t.ISOWeek()
		return [4]int{year, week}
	case "monthly":
		return [4]int{year, int(month)}
	case "yearly":
		return [4]int{year}
	}
	return [4]int{index}
}
