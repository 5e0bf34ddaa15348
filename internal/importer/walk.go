// Package importer brings the text files of a folder into a database.
//
// Start with [Walk], which finds the files to consider, and [ReadText], which
// reads one of them. Both say why a file is left out, and [Skips] counts it:
//
//	var skips importer.Skips
//	for file, err := range importer.Walk(ctx, dir, &skips) {
//		if _, ok := errors.AsType[*importer.UnreadableError](err); ok {
//			warn(err) // counted; the walk goes on
//			continue
//		}
//		if err != nil {
//			return err // the walk is over
//		}
//		text, reason, err := importer.ReadText(file.Path, maxBytes)
//		skips.Add(reason) // counts nothing for a file that was read
//		...
//	}
//
// [AssetID] and [FormatID] derive the ids of what is stored from where the file
// is, so that importing a folder twice does not store it twice.
package importer

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A File is a regular file that [Walk] found. Its names are the bytes that the
// operating system gave, not necessarily valid UTF-8; [DisplayName] makes them
// fit to be shown.
type File struct {
	// Path is the absolute path, for [ReadText] and [AssetID]. Symbolic links
	// in the path of the walked folder itself are kept as they were given.
	Path string
	// Rel is the path below the walked folder, with slashes.
	Rel string
}

// Walk yields the regular files below dir, each folder's entries in the byte
// order of their names, as [fs.WalkDir] does. It leaves out, and counts in
// skips unless that is nil:
//
//   - folders named .git or node_modules, and the .git file of a worktree or
//     submodule;
//   - symbolic links, and whatever is neither a file nor a folder;
//   - what the .gitignore files name: those at any depth below dir, and, when
//     dir lies in a git repository, those of its parents up to the top of the
//     repository and the repository's info/exclude. An ignored folder counts
//     once and is not entered.
//
// The rules hold whether or not there is a repository, and those of a folder
// also hold inside a repository that is nested in it. They are git's, with
// three differences: the user's own excludes file and core.ignoreCase are not
// looked at, so that the same folder gives the same files on every machine; a
// file that git tracks although a rule names it is left out; and dir itself is
// walked even if a rule names it or a parent of it, because somebody asked for
// it by name.
//
// An error of type [*UnreadableError] tells of one file or folder that cannot
// be read; it is counted, and the walk goes on. A folder whose .gitignore
// cannot be read is one of them: what it hides is unknown. Any other error ends
// the walk: dir does not exist or is not a folder, or ctx is done.
//
// Only dir itself may be a symbolic link. The sequence can be used again; each
// use walks afresh and adds to skips.
func Walk(ctx context.Context, dir string, skips *Skips) iter.Seq2[File, error] {
	if skips == nil {
		skips = new(Skips)
	}
	return func(yield func(File, error) bool) {
		w := walker{skips: skips, yield: yield}
		above, err := w.open(dir)
		switch {
		case isUnreadable(err):
			w.unreadable(err)
		case err != nil:
			yield(File{}, err)
		default:
			w.folder(ctx, "", above)
		}
	}
}

// A walker is one use of the sequence that [Walk] returns.
type walker struct {
	dir   string // absolute
	base  string // of dir in its repository: "" or slash-separated with a slash at the end
	skips *Skips
	yield func(File, error) bool
}

// open finds dir and its repository and returns the rules that hold from above.
func (w *walker) open(dir string) (*rules, error) {
	var err error
	if w.dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("finding folder: %w", err)
	}
	info, err := os.Stat(w.dir)
	if err != nil {
		return nil, fmt.Errorf("opening folder: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("opening folder: %w", &fs.PathError{Op: "open", Path: w.dir, Err: syscall.ENOTDIR})
	}
	// As git does, look for the repository around the folder itself, not
	// around a link to it.
	resolved, err := filepath.EvalSymlinks(w.dir)
	if err != nil {
		return nil, fmt.Errorf("opening folder: %w", err)
	}
	top := repositoryOf(resolved)
	if top == "" || top == resolved {
		return nil, nil
	}
	rel, err := filepath.Rel(top, resolved)
	if err != nil {
		return nil, fmt.Errorf("opening folder: %w", err)
	}
	w.base = filepath.ToSlash(rel) + "/"
	return rulesAbove(top, w.base)
}

// folder walks the folder at rel, "" or slash-separated with a slash at the
// end. It reports whether the walk goes on.
func (w *walker) folder(ctx context.Context, rel string, above *rules) bool {
	path := filepath.Join(w.dir, filepath.FromSlash(rel))
	entries, err := readFolder(path, rel == "")
	if err != nil {
		if isGone(err) {
			w.skips.Add(Vanished)
			return true
		}
		return w.unreadable(newUnreadable(path, err))
	}
	here, err := rulesIn(above, path, w.base+rel, entries)
	if err != nil {
		return w.unreadable(err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			w.yield(File{}, err)
			return false
		}
		name := rel + e.Name()
		reason := skipReason(e, w.base+name, here)
		w.skips.Add(reason)
		switch {
		case reason != Kept:
		case e.IsDir():
			if !w.folder(ctx, name+"/", here) {
				return false
			}
		default:
			file := File{Path: filepath.Join(w.dir, filepath.FromSlash(name)), Rel: name}
			if !w.yield(file, nil) {
				return false
			}
		}
	}
	return true
}

// unreadable counts and yields err. It reports whether the walk goes on.
func (w *walker) unreadable(err error) bool {
	w.skips.Add(Unreadable)
	return w.yield(File{}, err)
}

// skipReason says why the entry at path, counted from the top of the
// repository, is left out; [Kept] if it is not.
func skipReason(e fs.DirEntry, path string, rules *rules) SkipReason {
	switch mode := e.Type(); {
	case mode&fs.ModeSymlink != 0:
		return Link
	case e.Name() == ".git", e.Name() == "node_modules" && mode.IsDir():
		return Folder
	case !mode.IsDir() && !mode.IsRegular():
		return Special
	case rules.ignored(path, mode.IsDir()):
		return Ignored
	}
	return Kept
}

// readFolder returns the entries of the folder at path in the byte order of
// their names. A link is an error unless follow is set.
func readFolder(path string, follow bool) ([]fs.DirEntry, error) {
	flags := openFlags
	if follow {
		flags = 0
	}
	f, err := os.OpenFile(path, os.O_RDONLY|flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}
