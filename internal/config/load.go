package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"cairn"
)

// FileVariable is the variable of the environment that names the file.
const FileVariable = "CAIRN_CONFIG"

// A Request says where to read from.
type Request struct {
	// File is what the flag --config names; "" for $CAIRN_CONFIG, or the usual
	// place, where there may be none.
	File string
	// Flags are the values of flags that were given, by the names of their keys.
	// "" counts as none.
	Flags map[string]string
	// Checks are what else must hold of keys that are set, by their names. They
	// see the whole configuration; their errors are for a person.
	Checks map[string]func(Config) error
	// Getenv tells the environment; nil means os.Getenv.
	Getenv func(string) string
}

// Loaded is a configuration, and where it comes from.
type Loaded struct {
	Config
	// File is the path of the file that was read; "" if there is none.
	File    string
	origins map[string]Origin
}

// Origin returns where the value of a key comes from.
func (l *Loaded) Origin(key string) Origin {
	if o, ok := l.origins[key]; ok {
		return o
	}
	return Origin{Kind: Default}
}

// Path returns where the configuration file is, or would be: what file names, else
// $CAIRN_CONFIG, else the usual place. named reports that it was one of the first
// two; then it must be there.
func Path(file string, getenv func(string) string) (path string, named bool, err error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	if file == "" {
		file = getenv(FileVariable)
	}
	if file != "" {
		path, err = filepath.Abs(file)
		return path, true, cairn.FileError("finding", file, err)
	}
	dir, err := os.UserConfigDir()
	if err != nil && runtime.GOOS != "windows" {
		// A relative XDG_CONFIG_HOME is as none, as its specification has it.
		if dir, err = os.UserHomeDir(); err == nil {
			dir = filepath.Join(dir, ".config")
		}
	}
	if err != nil {
		return "", false, &cairn.Error{
			Code:    cairn.CodeNoPermission,
			Message: "This user has no folder for configuration.",
			Hint:    "Name a file with --config or " + FileVariable + ".",
			Err:     err,
		}
	}
	return filepath.Join(dir, "cairn", "config.toml"), false, nil
}

// Load reads the configuration. What is wrong with it is a *cairn.Error with
// cairn.CodeInvalid, in whose tree are the Problems.
func Load(r Request) (*Loaded, error) {
	if r.Getenv == nil {
		r.Getenv = os.Getenv
	}
	path, named, err := Path(r.File, r.Getenv)
	if err != nil && named {
		return nil, err
	}
	var data []byte
	if err == nil { // a user without a home folder has no file
		data, err = readFile(path)
	}
	switch {
	case err == nil:
	case !named && path == "", !named && errors.Is(err, fs.ErrNotExist):
		path = ""
	case errors.Is(err, fs.ErrNotExist):
		return nil, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "There is no configuration file " + path + ".",
			Hint:    "It is named with --config or " + FileVariable + ": make it, or name another.",
			Err:     err,
		}
	default:
		return nil, cairn.FileError("reading", path, err)
	}
	l := &Loaded{Config: defaults(), File: path, origins: map[string]Origin{}}
	var problems Problems
	if path != "" {
		problems = l.readFile(data)
	}
	problems = append(problems, l.override(r)...)
	return l, l.check(r, problems).asError()
}

// Parse reads the text of a file of that path, as if nothing were set besides.
func Parse(path string, data []byte) (*Loaded, error) {
	l := &Loaded{Config: defaults(), File: path, origins: map[string]Origin{}}
	return l, l.readFile(data).asError()
}

// readFile reads a file, and no more of it than shows that it is too long.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// readFile takes over what a file says.
func (l *Loaded) readFile(data []byte) Problems {
	keys := Keys()
	home, _ := os.UserHomeDir() // without one, ~/ is not replaced
	entries, problems := parseFile(l.File, data)
	for _, e := range entries {
		l.origins[e.name] = Origin{File, l.File, e.line}
		if p := e.apply(&l.Config, keys, filepath.Dir(l.File), home); p != nil {
			p.Origin = l.origins[e.name]
			problems = append(problems, *p)
		}
	}
	return problems
}

// override takes over what the environment says, and the flags.
func (l *Loaded) override(r Request) (problems Problems) {
	for _, key := range Keys() {
		given, origin := r.Flags[key.Name], Origin{Kind: Flag, Name: "--" + key.Flag}
		if given == "" {
			given, origin = r.Getenv(key.Variable()), Origin{Kind: Environment, Name: key.Variable()}
		}
		if given == "" {
			continue
		}
		l.origins[key.Name] = origin
		if err := key.set(&l.Config, given); err != nil {
			problems = append(problems, Problem{Origin: origin, Key: key.Name, What: err.Error()})
		}
	}
	return problems
}

// check adds what the checks find to problems.
func (l *Loaded) check(r Request, problems Problems) Problems {
	for _, key := range Keys() {
		check := r.Checks[key.Name]
		if check == nil || l.Origin(key.Name).Kind == Default || problems.of(key.Name) {
			continue
		}
		if err := check(l.Config); err != nil {
			problems = append(problems, Problem{Origin: l.Origin(key.Name), Key: key.Name, What: err.Error()})
		}
	}
	return problems
}

// ParseRetention returns the rules that values say, by the names of their keys. An
// error is for a person and names the flag.
func ParseRetention(values map[string]string) (cairn.Retention, error) {
	var l Loaded
	l.origins = map[string]Origin{}
	problems := l.override(Request{Flags: values, Getenv: func(string) string { return "" }})
	if len(problems) > 0 {
		return cairn.Retention{}, errors.New(problems[0].String())
	}
	return l.Retention.Keep, nil
}
