package metrics

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// isCanceled reports whether nobody waited for the outcome.
func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }

// state collects how things are when it is asked.
type state struct{ m *Metrics }

// Describe leaves the names to Collect: some metrics are left out while there is
// nothing to tell.
func (s state) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s state) Collect(metrics chan<- prometheus.Metric) {
	add := func(name, help string, value float64) {
		metrics <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, value)
	}
	addTime := func(name, help string, t time.Time) {
		if !t.IsZero() {
			add(name, help, float64(t.UnixMilli())/1000)
		}
	}
	metrics <- prometheus.MustNewConstMetric(
		prometheus.NewDesc("cairn_build_info", "1; the labels say which cairn this is.", []string{"version", "goversion"}, nil),
		prometheus.GaugeValue, 1, s.m.cfg.Version, runtime.Version())

	stats := s.m.cfg.Stats()
	add("cairn_database_documents", "Documents in the database.", float64(stats.Documents))
	add("cairn_database_deletions", "Documents that the database knows to be deleted.", float64(stats.Deletions))
	add("cairn_database_revision", "Number of the newest change in the database; another one begins when a backup is restored.", float64(stats.Revision))
	add("cairn_database_json_bytes", "Bytes of JSON text in all documents.", float64(stats.Bytes))

	automatic := s.m.cfg.Automatic()
	add("cairn_automatic_backup_enabled", "1 if backups are made by themselves, else 0.", number(automatic.On))
	add("cairn_automatic_backup_failures", "Automatic backups that have failed since the last one that did not.", float64(automatic.Failures))
	add("cairn_automatic_backup_overdue", "1 if an automatic backup should have been made an hour ago, else 0.", number(automatic.Overdue))
	addTime("cairn_automatic_backup_next_timestamp_seconds", "When the next automatic backup is due; absent when none is foreseen.", automatic.Next)

	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	addTime("cairn_backup_last_success_timestamp_seconds", "When the newest backup of the database was asked for; absent without one.", s.m.last)
	if s.m.asked {
		add("cairn_cloud_reachable", "1 if the bucket answered when it was asked last, else 0; absent before it was asked.", number(s.m.reachable))
	}
}

// number returns 1 for true.
func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
