package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/internal/config"
	"cairn/internal/connection"
	"cairn/internal/schedule"
)

func configCommand() *cobra.Command {
	return groupCommand("config", "look at the configuration", configCheckCommand(), configPathCommand())
}

// settingFlags adds a flag for each setting, unless the command has it, and returns
// what tells their values by the names of the settings.
func settingFlags(cmd *cobra.Command) func() map[string]string {
	for _, key := range config.Keys() {
		if cmd.Flags().Lookup(key.Flag) == nil {
			cmd.Flags().Var(&settingFlag{form: key.Form}, key.Flag, fmt.Sprintf("%s (default $%s, else %s)", key.About, key.Variable(), key.Unset))
		}
	}
	return func() map[string]string {
		given := map[string]string{}
		for _, key := range config.Keys() {
			given[key.Name] = cmd.Flags().Lookup(key.Flag).Value.String()
		}
		return given
	}
}

// A settingFlag is the value of a flag, which package config reads.
type settingFlag struct{ given, form string }

func (f *settingFlag) String() string     { return f.given }
func (f *settingFlag) Set(s string) error { f.given = s; return nil }
func (f *settingFlag) Type() string       { return f.form }

// checks are what settings must be fit for that package config does not know.
func checks() map[string]func(config.Config) error {
	return map[string]func(config.Config) error{
		"backup.schedule": func(c config.Config) error {
			if c.Backup.Schedule == "" {
				return nil
			}
			_, err := schedule.ParseCron(c.Backup.Schedule)
			if e, ok := errors.AsType[*cairn.Error](err); ok {
				return errors.New(phrase(e.Message) + "; " + phrase(e.Hint))
			}
			return err
		},
		"listen":   checkAddress,
		"tls_cert": checkPair,
		"tls_key":  checkPair,
		"cloud": func(c config.Config) error {
			dir, err := absolute(c.Data)
			if err == nil {
				_, err = connection.Parse(c.Cloud, dir)
			}
			return err
		},
	}
}

// loadConfig reads the configuration. What is wrong with a flag or a variable is a
// mistake in the command line.
func loadConfig(r config.Request) (*config.Loaded, error) {
	l, err := config.Load(r)
	if problems, ok := errors.AsType[config.Problems](err); ok {
		switch problems[0].Origin.Kind {
		case config.Flag, config.Environment:
			return l, usageError{errors.New(problems[0].String())}
		}
	}
	return l, err
}

func configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "say what is set, and where, and what is wrong with it",
		Long: `Reads the configuration as cairn serve would, and prints what is in force and
where that comes from: the environment, a line of the file, or the default. The
exit code is 1 when something is wrong with it.`,
		Args: takes("[FILE]"),
	}
	at, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			at.config = args[0]
		}
		l, err := config.Load(config.Request{File: at.config, Flags: map[string]string{"data": at.data}, Checks: checks()})
		problems, ok := errors.AsType[config.Problems](err)
		if err != nil && !ok {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), reportOf(l, problems))
		} else if err = printSettings(cmd.OutOrStdout(), l, at.config); err == nil {
			err = printProblems(cmd.ErrOrStderr(), problems)
		}
		switch {
		case err != nil || len(problems) == 0:
			return err
		case len(problems) == 1:
			return errors.New("the configuration has an error")
		}
		return fmt.Errorf("the configuration has %d errors", len(problems))
	}
	return cmd
}

// printProblems tells of each problem on a line of its own, with a hint below it.
func printProblems(w io.Writer, problems config.Problems) error {
	for _, p := range problems {
		text := "error: " + printable(p.String()) + "\n"
		if p.Hint != "" {
			text += "hint: " + phrase(p.Hint) + "\n"
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// printSettings prints what is in force as a table.
func printSettings(w io.Writer, l *config.Loaded, named string) error {
	file := l.File
	if file == "" {
		file = "there is none"
		if path, _, err := config.Path(named, nil); err == nil {
			file += "; it would be " + path
		}
	}
	rows := [][]string{{"file", file}}
	for _, s := range settingsOf(l) {
		value, from := s.Value, s.origin.String()
		switch isDefault := s.origin.Kind == config.Default; {
		case value != "":
		case isDefault:
			value, from = "-", from+": "+s.key.Unset
		default:
			value = "off"
		}
		rows = append(rows, []string{s.Key, value, from})
	}
	return printTable(w, rows)
}

// A setting is what cairn config check tells of one.
type setting struct {
	Key   string      `json:"key"`
	Value string      `json:"value"` // "" when it is not set
	From  config.Kind `json:"from"`
	Name  string      `json:"name,omitempty"` // of the flag, the variable or the file
	Line  int         `json:"line,omitempty"` // of the file

	key    config.Key
	origin config.Origin
}

// settingsOf returns all settings. Of the place of the cloud is shown what holds no
// secret.
func settingsOf(l *config.Loaded) (all []setting) {
	for _, key := range config.Keys() {
		o := l.Origin(key.Name)
		s := setting{Key: key.Name, Value: key.Text(&l.Config), From: o.Kind, Name: o.Name, Line: o.Line, key: key, origin: o}
		dir, err := absolute(l.Data)
		switch {
		case err != nil:
		case key.Name == "data":
			s.Value = dir
		case key.Name == "cloud":
			s.Value = "" // what cannot be read may hold a secret
			if p, err := connection.Parse(l.Cloud, dir); err == nil {
				s.Value = p.URL()
			}
		}
		all = append(all, s)
	}
	return all
}

// A configReport is what cairn config check tells programs.
type configReport struct {
	File     string          `json:"file"` // "" if there is none
	Settings []setting       `json:"settings"`
	Problems []configProblem `json:"problems"`
}

// A configProblem is what is wrong with one setting.
type configProblem struct {
	Key    string      `json:"key,omitempty"` // "" for the form of the file
	From   config.Kind `json:"from"`
	Name   string      `json:"name"` // of the variable or the file
	Line   int         `json:"line,omitempty"`
	Detail string      `json:"detail"`
	Hint   string      `json:"hint,omitempty"`
}

func reportOf(l *config.Loaded, problems config.Problems) configReport {
	r := configReport{File: l.File, Settings: settingsOf(l), Problems: []configProblem{}}
	for _, p := range problems {
		r.Problems = append(r.Problems, configProblem{p.Key, p.Origin.Kind, p.Origin.Name, p.Origin.Line, p.What, p.Hint})
	}
	return r
}

func configPathCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "path",
		Short: "print where the configuration file is, or would be",
		Args:  takes(),
	}
	at, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, _, err := config.Path(at.config, nil)
		if err != nil {
			return err
		}
		if !*asJSON {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(path))
			return err
		}
		_, err = os.Stat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return cairn.FileError("reading", path, err)
		}
		return printJSON(cmd.OutOrStdout(), map[string]any{"path": path, "exists": err == nil})
	}
	return cmd
}
