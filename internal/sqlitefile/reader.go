package sqlitefile

import (
	"fmt"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// A Reader is a connection whose rows are seen as they lie in SQLite's memory.
// Package database/sql copies each text into memory of its own, which is most of
// the time that it takes to read a file from one end to the other. For anything
// else use [Open]. A Reader is for one goroutine; its errors are for [Failure].
//
//	r, err := sqlitefile.NewReader(path)
//	defer r.Close()
//	err = r.Query("SELECT id, json FROM documents")
//	for more, err := r.Next(); more; more, err = r.Next() {
//		use(r.Bytes(0), r.Bytes(1))
//	}
//
// Source: SQLite, C-language Interface Specification, of which package lib has
// the functions under their names.
type Reader struct {
	tls  *libc.TLS
	db   uintptr // sqlite3*
	stmt uintptr // sqlite3_stmt*, 0 without one
}

// A resultError is a failure of a Reader.
type resultError struct {
	code    int // extended
	message string
}

// Error returns SQLite's message and code.
func (e *resultError) Error() string { return fmt.Sprintf("%s (%d)", e.message, e.code) }

// Code returns the extended result code.
func (e *resultError) Code() int { return e.code }

// NewReader opens the file at the absolute path, which must exist, for reading
// only.
func NewReader(path string) (_ *Reader, err error) {
	r := &Reader{tls: libc.NewTLS()}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	name, err := libc.CString(path)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(r.tls, name)
	// A connection that cannot write could not use a log that nobody else has
	// open. One goroutine needs no mutex.
	const flags = sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_NOMUTEX
	code := r.make(&r.db, func(db uintptr) int32 { return sqlite3.Xsqlite3_open_v2(r.tls, name, db, flags, 0) })
	if code != sqlite3.SQLITE_OK {
		return nil, r.failure(code)
	}
	sqlite3.Xsqlite3_extended_result_codes(r.tls, r.db, 1)
	sqlite3.Xsqlite3_busy_timeout(r.tls, r.db, busyTime)
	// The last connection to close a file writes its log into it.
	for _, pragma := range []string{"PRAGMA fullfsync=1", "PRAGMA query_only=1"} {
		if err := r.Exec(pragma); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// make has SQLite make an object and notes its address.
func (r *Reader) make(object *uintptr, call func(at uintptr) int32) int32 {
	const size = int(unsafe.Sizeof(uintptr(0)))
	at := r.tls.Alloc(size)
	defer r.tls.Free(size)
	code := call(at)
	*object = *(*uintptr)(pointer(at))
	return code
}

// pointer returns an address in SQLite's memory, of which Go knows nothing, as a
// pointer.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// failure is that of the last call, which returned the code.
func (r *Reader) failure(code int32) error {
	message := sqlite3.Xsqlite3_errstr(r.tls, code)
	if r.db != 0 {
		message = sqlite3.Xsqlite3_errmsg(r.tls, r.db)
	}
	return &resultError{int(code), libc.GoString(message)}
}

// Exec executes a statement that gives no rows, or none that matter.
func (r *Reader) Exec(statement string) error {
	if err := r.Query(statement); err != nil {
		return err
	}
	for {
		if more, err := r.Next(); !more {
			return err
		}
	}
}

// Query begins a statement, and ends the one before. args take the place of its
// parameters.
func (r *Reader) Query(query string, args ...int64) error {
	r.end()
	text, err := libc.CString(query)
	if err != nil {
		return err
	}
	defer libc.Xfree(r.tls, text)
	code := r.make(&r.stmt, func(stmt uintptr) int32 {
		return sqlite3.Xsqlite3_prepare_v2(r.tls, r.db, text, -1, stmt, 0)
	})
	for i, arg := range args {
		if code == sqlite3.SQLITE_OK {
			code = sqlite3.Xsqlite3_bind_int64(r.tls, r.stmt, int32(i+1), arg)
		}
	}
	if code != sqlite3.SQLITE_OK {
		return r.failure(code)
	}
	return nil
}

// Next goes on to the next row, and reports whether there is one.
func (r *Reader) Next() (bool, error) {
	switch code := sqlite3.Xsqlite3_step(r.tls, r.stmt); code {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	default:
		return false, r.failure(code)
	}
}

// Int64 returns a column of the row, 0 for what is no number.
func (r *Reader) Int64(column int) int64 {
	return sqlite3.Xsqlite3_column_int64(r.tls, r.stmt, int32(column))
}

// Bytes returns a text or a blob of the row, nil for NULL alone. They are
// SQLite's, until the next call of Next, Query or Close; nobody may change them.
func (r *Reader) Bytes(column int) []byte {
	i := int32(column)
	if sqlite3.Xsqlite3_column_type(r.tls, r.stmt, i) == sqlite3.SQLITE_NULL {
		return nil
	}
	at := sqlite3.Xsqlite3_column_blob(r.tls, r.stmt, i)
	n := sqlite3.Xsqlite3_column_bytes(r.tls, r.stmt, i)
	if at == 0 {
		return []byte{} // there is no memory for an empty one
	}
	return unsafe.Slice((*byte)(pointer(at)), n)
}

// Value returns a column of the row as package database/sql does: an int64, a
// float64, a string, a []byte or nil.
func (r *Reader) Value(column int) any {
	switch i := int32(column); sqlite3.Xsqlite3_column_type(r.tls, r.stmt, i) {
	case sqlite3.SQLITE_INTEGER:
		return r.Int64(column)
	case sqlite3.SQLITE_FLOAT:
		return sqlite3.Xsqlite3_column_double(r.tls, r.stmt, i)
	case sqlite3.SQLITE_TEXT:
		return string(r.Bytes(column))
	case sqlite3.SQLITE_BLOB:
		return append([]byte(nil), r.Bytes(column)...)
	}
	return nil
}

// end ends the statement. Its failure has been told by Next.
func (r *Reader) end() {
	sqlite3.Xsqlite3_finalize(r.tls, r.stmt) // nothing, for 0
	r.stmt = 0
}

// Close ends the connection, and a transaction that is open.
func (r *Reader) Close() {
	r.end()
	sqlite3.Xsqlite3_close_v2(r.tls, r.db)
	r.db = 0
	r.tls.Close()
}
