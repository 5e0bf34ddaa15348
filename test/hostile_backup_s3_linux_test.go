package test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cairn"
	"cairn/test/s3server"
)

// TestHostileS3 makes, restores and deletes backups on a store that is gone, or
// has lost the bucket, or has another one in its place.
func TestHostileS3(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"stopped server":  stoppedServer,
		"missing bucket":  missingBucket,
		"removed bucket":  removedBucket,
		"emptied bucket":  emptiedBucket,
		"replaced bucket": replacedBucket,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// s3Estate returns an estate of several parts, or with none, on a place.
func s3Estate(t *testing.T, cloud place, mib int) *estate {
	t.Helper()
	return newEstate(t, filepath.Join(t.TempDir(), "data"), cloud, someParts(t, mib))
}

// stoppedServer has the server end, and come back.
func stoppedServer(t *testing.T) {
	server := s3server.Start(t)
	e := s3Estate(t, bucketOf(t, server), 9)
	h := hostility{
		begin: server.Stop,
		end:   func() { server.Restart(t) },
		write: []cairn.Code{cairn.CodeCloudLost},
		read:  []cairn.Code{cairn.CodeCloudLost},
		hint:  "Check the connection to it, then try again.",
	}
	e.suffer(t, h)
	e.startInto(t, h)
}

// leadTo returns a handler with another bucket in the place of one.
func leadTo(bucket, other string) s3server.Handler {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/"+bucket); ok {
			r.URL.Path, r.URL.RawPath = "/"+other+rest, ""
		}
		forward.ServeHTTP(w, r)
	}
}

// frontedEstate returns an estate on a bucket, and what has another bucket be in
// its place.
func frontedEstate(t *testing.T, other string) (*estate, hostility) {
	t.Helper()
	cloud := s3Cloud(t)
	front := s3server.NewFront(t, cloud.server, nil)
	return s3Estate(t, cloud.behind(front), 9), hostility{
		begin: func() { front.Handle(leadTo(cloud.bucket, other)) },
		end:   func() { front.Handle(nil) },
		write: []cairn.Code{cairn.CodeBucketMissing},
		read:  []cairn.Code{cairn.CodeBucketMissing},
	}
}

// missingBucket has no bucket of that name be there.
func missingBucket(t *testing.T) {
	e, h := frontedEstate(t, "no-such-bucket")
	h.hint = "cairn makes no buckets"
	e.suffer(t, h)
	e.startInto(t, h)
}

// removedBucket removes the bucket with all that is in it, and puts it back from a
// copy.
func removedBucket(t *testing.T) {
	cloud := s3Cloud(t)
	e := s3Estate(t, cloud, 1)
	copied, c := "", cloud.server.Client()
	e.sufferBefore(t, hostility{
		begin: func() {
			copied = cloud.download(t)
			var objects []types.ObjectIdentifier
			for _, name := range filesIn(t, copied) {
				key := s3Prefix + "/" + name
				objects = append(objects, types.ObjectIdentifier{Key: &key})
			}
			if _, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &cloud.bucket, Delete: &types.Delete{Objects: objects}}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &cloud.bucket}); err != nil {
				t.Fatal(err)
			}
		},
		end: func() {
			if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &cloud.bucket}); err != nil {
				t.Fatal(err)
			}
			cloud.upload(t, copied)
		},
		write: []cairn.Code{cairn.CodeBucketMissing},
		read:  []cairn.Code{cairn.CodeBucketMissing},
		hint:  "cairn makes no buckets",
	})
}

// emptiedBucket has nothing be in the bucket: no new cloud is made there.
func emptiedBucket(t *testing.T) {
	empty := s3Cloud(t)
	e, h := frontedEstate(t, empty.bucket)
	h.hint = "Are the bucket, the prefix and the endpoint right? Then try again. To begin a new cloud, choose another place."
	e.sufferBefore(t, h)
	e.startInto(t, h)
	if left := empty.download(t); len(filesIn(t, left)) > 0 {
		t.Errorf("something was written to the empty bucket: %q", filesIn(t, left))
	}
}

// replacedBucket has another cloud be in the bucket, whose key the data folder has
// too.
func replacedBucket(t *testing.T) {
	other := s3Cloud(t)
	e, h := frontedEstate(t, other.bucket)
	e.stop(t)
	own := e.cloud
	e.cloud = other
	e.start(t)
	made, err := e.c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.stop(t)
	e.cloud = own
	e.start(t)
	h.hint = "Are the bucket, the prefix and the endpoint right?"
	e.suffer(t, h)
	if ids := manifests(t, other); len(ids) != 1 || ids[0] != made.ID {
		t.Errorf("the other cloud has the backups %q, and had %s", ids, made.ID)
	}
}

// filesIn returns the names of the files in a folder, with slashes.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, path := range allFiles(t, dir) {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.ToSlash(name))
	}
	return names
}

// TestForbiddenS3 has the policy of the bucket forbid one thing after the other to
// the user whose credentials the daemon has, and all of them.
func TestForbiddenS3(t *testing.T) {
	t.Parallel()
	server := s3server.Shared(t)
	cloud := bucketOf(t, server)
	key, secret := server.User(t)
	cloud.env = append(cloud.env, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret)
	all := []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"}
	// forbid leaves all but some.
	forbid := func(forbidden ...string) func() {
		return func() {
			allowed := `"s3:GetBucketLocation"` // is of no use
			for _, action := range all {
				if !strings.Contains(strings.Join(forbidden, " "), action) {
					allowed += fmt.Sprintf(", %q", action)
				}
			}
			server.Policy(t, cloud.bucket, fmt.Sprintf(`{"Statement": [{"Effect": "Allow", "Principal": {"AWS": [%q]}, "Action": [%s],
				"Resource": ["arn:aws:s3:::%s", "arn:aws:s3:::%s/*"]}]}`, key, allowed, cloud.bucket, cloud.bucket))
		}
	}
	forbid()()
	e := s3Estate(t, cloud, 9)
	denied := []cairn.Code{cairn.CodeDenied}
	for _, tt := range []struct {
		action string
		hint   string
		fail   []way // all others succeed
	}{
		{"s3:PutObject", "needs the permission s3:PutObject;", []way{e.creating(), e.deleting()}},
		{"s3:ListBucket", "needs the permission s3:ListBucket;", []way{e.listing()}},
		{"s3:GetObject", "needs the permission s3:GetObject and s3:ListBucket;", []way{e.creating(), e.restoring(), e.showing(), e.deleting()}},
		{"s3:DeleteObject", "needs the permission s3:DeleteObject;", []way{e.deleting()}},
	} {
		t.Run(tt.action, func(t *testing.T) {
			e.forbidden(t, hostility{begin: forbid(tt.action), end: forbid(), write: denied, hint: tt.hint}, tt.fail)
		})
	}
	t.Run("all", func(t *testing.T) {
		e.suffer(t, hostility{begin: forbid(all...), end: forbid(), write: denied, read: denied, hint: "needs the permission s3:"})
	})
}

// forbidden does what fails while something is forbidden, and then what does not.
func (e *estate) forbidden(t *testing.T, h hostility, fail []way) {
	t.Helper()
	h.begin()
	failing := map[way]bool{}
	for _, w := range fail {
		e.fails(t, h, w, h.write)
		failing[w] = true
	}
	more := 0
	for _, w := range []way{e.showing(), e.restoring(), e.creating()} {
		if failing[w] {
			continue
		}
		if p := e.ask(t, w); p != nil {
			t.Errorf("%s: %+v", w.path, *p)
			continue
		}
		switch w {
		case e.restoring():
			e.undo(t)
		case e.creating():
			more = 1
		}
	}
	e.unchanged(t)
	if failing[e.listing()] {
		e.unavailable(t, h.write)
	}
	e.write(t)
	h.end()
	e.lists(t, more)
	if more > 0 {
		e.undoCreate(t)
	}
	e.works(t)
}

// TestServerStops stops the server at one request of an operation, with or without
// carrying it out, and starts it again at once, or after the operation has failed.
func TestServerStops(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		restore bool   // or else create
		at      string // op and folder of the request
		after   bool   // the request was carried out, and its answer is lost
	}{
		{"creating, before a part", false, "put parts", false},
		{"creating, before the manifest", false, "put backups", false},
		{"creating, after the manifest", false, "put backups", true},
		{"restoring, before the manifest", true, "get backups", false},
		{"restoring, before a part", true, "get parts", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := s3server.Start(t)
			cloud := bucketOf(t, server)
			front := s3server.NewFront(t, server, nil)
			e := s3Estate(t, cloud.behind(front), 9)
			w := e.creating()
			if tt.restore {
				w = e.restoring()
			}
			t.Run("for long", func(t *testing.T) {
				stopped := stopAt(front, server, tt.at, tt.after)
				p := e.ask(t, w)
				<-stopped
				checkProblem(t, w, p, e.cloud.url, cairn.CodeCloudLost)
				doubt, more := tt.at == "put backups", 0
				if p != nil && (inDoubt(p) != doubt || strings.HasPrefix(p.Hint, "In a little while, cairn backup list shows whether it was.") != doubt) {
					t.Errorf("it is told so: %+v", *p)
				}
				server.Restart(t)
				e.unchanged(t)
				if tt.after {
					more = 1
				}
				known := e.backups
				e.lists(t, more)
				e.checkJob(t, tt.restore, len(e.backups) > len(known))
				if more > 0 {
					restoresTo(t, e.c, e.backups[len(e.backups)-1])
					if err := e.c.UndoRestore(t.Context()); err != nil {
						t.Error(err)
					}
					e.undoCreate(t)
				}
				e.works(t)
			})
			t.Run("for a moment", func(t *testing.T) {
				for try := 1; ; try++ {
					stopped := stopAt(front, server, tt.at, tt.after)
					p := e.meanwhile(t, w, func() bool { return isClosed(stopped) }, func() { server.Restart(t) })
					if p == nil {
						break
					}
					checkProblem(t, w, p, e.cloud.url, cairn.CodeCloudLost)
					if try == 5 { // starting may take longer than is tried
						t.Fatal("no operation outlasted the server")
					}
					e.backups = manifests(t, cloud)
				}
				if tt.restore {
					e.undo(t)
				} else {
					e.lists(t, 1)
				}
				e.works(t)
			})
		})
	}
}

// stopAt has a server stop at the next request whose op and folder these are, once
// it was carried out or without. The channel is closed then.
func stopAt(front *s3server.Front, server *s3server.Server, at string, after bool) <-chan struct{} {
	stopped := make(chan struct{})
	var once sync.Once
	front.Handle(func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		request, here := s3server.RequestOf(r), false
		folder, _, _ := strings.Cut(strings.TrimPrefix(request.Key, s3Prefix+"/"), "/")
		if request.Op+" "+folder == at {
			once.Do(func() {
				here = true
				if after {
					forward.ServeHTTP(httptest.NewRecorder(), r)
				}
				server.Stop()
				close(stopped)
			})
		}
		if here {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	})
	return stopped
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// checkJob checks what is said of the newest job, which failed because the store
// was gone: that it is done after all, if its backup is listed.
func (e *estate) checkJob(t *testing.T, restoration, listed bool) {
	t.Helper()
	jobs, err := e.c.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kind, ask := cairn.Creation, e.c.CreationStatus
	if restoration {
		kind, ask = cairn.Restoration, e.c.RestorationStatus
	}
	want := cairn.JobFailed
	if listed {
		want = cairn.JobCompleted
	}
	if jobs[0].Kind != kind {
		t.Fatalf("the newest job is %+v, want a %s", jobs[0], kind)
	}
	st, err := ask(t.Context(), jobs[0].Backup.ID)
	if err != nil || st.Value != want {
		t.Errorf("the status of the job %+v is %+v, %v, want %s", jobs[0], st, err, want)
	}
}
