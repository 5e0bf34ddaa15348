// Package metrics counts what the daemon does, for Prometheus.
//
//	m := metrics.New(metrics.Config{Version: version, Stats: db.Stats, ...})
//	m.Ended(job)                        // as it happens
//	m.Request("GET /assets/{id}", 200)
//	http.Handle("GET /metrics", m.Handler())
//
// A Metrics has a registry of its own. Collecting reads what is in memory anyway,
// and asks neither the disk nor the cloud. docs/metrics.md describes each metric.
package metrics

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cairn"
)

// Automatic says how the backups stand that are made by themselves.
type Automatic struct {
	On       bool
	Failures int       // in a row
	Next     time.Time // zero when none is foreseen
	Overdue  bool
}

// Config is what is told of besides what happens. Stats and Automatic are required,
// and must not wait.
type Config struct {
	Version   string // of cairn
	Stats     func() cairn.Stats
	Automatic func() Automatic
	// Absent reports whether an error of the cloud says only that something is not
	// there, or is there already; nil means that none does.
	Absent func(error) bool
	// Log gets what goes wrong while metrics are written; nil means slog.Default.
	Log *slog.Logger
}

// Metrics are counters and gauges of one daemon. Its methods may be called at the
// same time, and wait for nothing. It is a bucket.Observer.
type Metrics struct {
	cfg      Config
	registry *prometheus.Registry

	jobs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	requests *prometheus.CounterVec
	calls    *prometheus.CounterVec
	sent     prometheus.Counter
	received prometheus.Counter

	mu        sync.Mutex
	asked     bool // something is known of the cloud
	reachable bool
	last      time.Time // when the newest backup of the database was asked for
}

// New returns metrics in which nothing has happened yet.
func New(cfg Config) *Metrics {
	if cfg.Absent == nil {
		cfg.Absent = func(error) bool { return false }
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	m := &Metrics{
		cfg:      cfg,
		registry: prometheus.NewRegistry(),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cairn_jobs_total",
			Help: "Creations and restorations that have ended since the start, by how they did.",
		}, []string{"kind", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cairn_job_duration_seconds",
			Help:    "How long complete creations and restorations took, from when they were asked for.",
			Buckets: []float64{0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000},
		}, []string{"kind"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cairn_http_requests_total",
			Help: "Requests that were answered since the start, by route and status.",
		}, []string{"route", "code"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cairn_cloud_calls_total",
			Help: "Calls of the bucket since the start, tries that failed included.",
		}, []string{"operation", "outcome"}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cairn_cloud_sent_bytes_total",
			Help: "Bytes of objects that were stored in the bucket since the start.",
		}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cairn_cloud_received_bytes_total",
			Help: "Bytes of objects that were read from the bucket since the start.",
		}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.jobs, m.duration, m.requests, m.calls, m.sent, m.received, state{m},
	)
	// They begin at 0, so that the first failure is a change that alerts can see.
	for _, kind := range []cairn.JobKind{cairn.Creation, cairn.Restoration} {
		for _, status := range []cairn.JobStatus{cairn.JobCompleted, cairn.JobFailed, cairn.JobCanceled} {
			m.jobs.WithLabelValues(string(kind), statusLabel(status))
		}
		m.duration.WithLabelValues(string(kind))
	}
	return m
}

// Handler answers with all metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	h := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:           slog.NewLogLogger(m.cfg.Log.Handler(), slog.LevelWarn),
		DisableCompression: true,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plain := r.Clone(r.Context())
		plain.Header.Del("Accept") // no other format: the API describes this one
		h.ServeHTTP(w, plain)
	})
}

// Gatherer returns the registry, for tests.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Ended counts a job that has ended.
func (m *Metrics) Ended(job cairn.Job) {
	m.jobs.WithLabelValues(string(job.Kind), statusLabel(job.Status)).Inc()
	if job.Status != cairn.JobCompleted {
		return
	}
	m.duration.WithLabelValues(string(job.Kind)).Observe(job.Ended.Sub(job.Started).Seconds())
	if job.Kind == cairn.Creation && job.Backup.Scope == cairn.ScopeAll {
		m.Last(job.Backup.Created)
	}
}

// statusLabel returns a status in the lower case of labels.
func statusLabel(s cairn.JobStatus) string { return strings.ToLower(string(s)) }

// Last notes when the newest backup of the database was made; what is older than
// one that is known is not noted.
func (m *Metrics) Last(created time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if created.After(m.last) {
		m.last = created
	}
}

// Request counts a request of a route, "" for those that none takes, and the status
// of its answer, 0 when there was none.
func (m *Metrics) Request(route string, code int) {
	label := "none"
	if code != 0 {
		label = strconv.Itoa(code)
	}
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, label).Inc()
}

// Called counts a call of the bucket.
func (m *Metrics) Called(operation string, err error) {
	outcome := "ok"
	switch {
	case err == nil:
	case m.cfg.Absent(err):
		outcome = "absent"
	case isCanceled(err):
		outcome = "canceled"
	default:
		outcome = "failed"
	}
	m.calls.WithLabelValues(operation, outcome).Inc()
	m.Connected(err)
}

// Connected notes whether the bucket answers: an error is why it does not.
func (m *Metrics) Connected(err error) {
	if isCanceled(err) {
		return // that says nothing of the bucket
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked, m.reachable = true, err == nil || m.cfg.Absent(err)
}

// Sent counts bytes that were stored in the bucket.
func (m *Metrics) Sent(bytes int64) { m.sent.Add(float64(bytes)) }

// Received counts bytes that were read from the bucket.
func (m *Metrics) Received(bytes int64) { m.received.Add(float64(bytes)) }
