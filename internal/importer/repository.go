package importer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxRulesBytes is the largest .gitignore file that is read.
const maxRulesBytes = 16 << 20

// repositoryOf returns the folder with a .git at or above dir, an absolute path
// without links; "" if there is none.
func repositoryOf(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// rulesAbove returns the rules of the folders from top down to, and without,
// the one at base, which is slash-separated with a slash at the end.
func rulesAbove(top, base string) (above *rules, err error) {
	for i := 0; i < len(base); i += strings.IndexByte(base[i:], '/') + 1 {
		path := filepath.Join(top, filepath.FromSlash(base[:i]))
		entries, err := gitEntries(path)
		if err != nil {
			return nil, err
		}
		if above, err = rulesIn(above, path, base[:i], entries); err != nil {
			return nil, err
		}
	}
	return above, nil
}

// gitEntries returns those entries of the folder at path that [rulesIn] looks
// for. The folder need not be listable.
func gitEntries(path string) ([]fs.DirEntry, error) {
	var entries []fs.DirEntry
	for _, name := range []string{".git", ".gitignore"} {
		info, err := os.Lstat(filepath.Join(path, name))
		switch {
		case err == nil:
			entries = append(entries, fs.FileInfoToDirEntry(info))
		case !isGone(err):
			return nil, newUnreadable(filepath.Join(path, name), err)
		}
	}
	return entries, nil
}

// rulesIn returns above, followed by the rules that stand in the folder at path
// with these entries: those of its .gitignore and, weaker, those of info/exclude
// if it is the top of a repository. The patterns count from base, the folder's
// path, which is "" or ends in a slash. The error is an [*UnreadableError].
func rulesIn(above *rules, path, base string, entries []fs.DirEntry) (*rules, error) {
	var files []string
	if hasEntry(entries, ".git") {
		if exclude := excludeFile(filepath.Join(path, ".git")); exclude != "" {
			files = append(files, exclude)
		}
	}
	if hasEntry(entries, ".gitignore") {
		files = append(files, filepath.Join(path, ".gitignore"))
	}
	for _, file := range files {
		text, reason, err := readRegular(file, maxRulesBytes)
		switch reason {
		case Kept:
			above = above.with(base, text)
		case TooLarge:
			return nil, newUnreadable(file, errors.New("more than 16 MiB of rules"))
		case Unreadable:
			return nil, err
		}
		// Git, too, finds no rules in a link or a folder of that name.
	}
	return above, nil
}

// hasEntry reports whether one of entries has that name.
func hasEntry(entries []fs.DirEntry, name string) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
}

// excludeFile returns the path of info/exclude of the repository that dotGit
// stands for, "" if there is none. dotGit is the repository or, in worktrees
// and submodules, a file that names it:
//
//	gitdir: ../.git/worktrees/feature
//
// What all worktrees share is in the folder that the file commondir in there
// names. The exclude file itself may be a link, as for git.
func excludeFile(dotGit string) string {
	folder := dotGit
	if line, ok := readLine(dotGit); ok {
		name, ok := strings.CutPrefix(line, "gitdir: ")
		if !ok {
			return ""
		}
		folder = joinUnlessAbs(filepath.Dir(dotGit), name)
	}
	if name, ok := readLine(filepath.Join(folder, "commondir")); ok {
		folder = joinUnlessAbs(folder, name)
	}
	file, err := filepath.EvalSymlinks(filepath.Join(folder, "info", "exclude"))
	if err != nil {
		return ""
	}
	return file
}

// readLine returns the content of the file at path without the line's end. It
// reports false for what is not a file that can be read.
func readLine(path string) (string, bool) {
	const most = 64 << 10 // a path is far shorter
	text, reason, _ := readRegular(path, most)
	return strings.TrimRight(string(text), "\r\n"), reason == Kept
}

// joinUnlessAbs returns name as seen from folder.
func joinUnlessAbs(folder, name string) string {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
}
