package asset

import (
	"slices"
	"strings"
)

// Languages for which a text is not called CODE. All others in the enum are.
var (
	textLanguages  = []string{"csv", "list", "log", "markdn", "markdown", "md", "mdown", "mdwn", "rtf", "rtx", "text", "txt"}
	imageLanguages = []string{"ai", "bmp", "eps", "gif", "ico", "jpe", "jpeg", "jpg", "jpgm", "png", "tif", "tiff", "webp"}
	videoLanguages = []string{"jpgv", "mp4", "ogv", "qt", "webm"}
	fileLanguages  = []string{"bin", "class", "dmg", "doc", "docm", "docx", "exe", "gz", "jar", "mpkg", "pdf", "ppt", "pptm", "pptx", "pyc", "rpm", "wasm", "woff", "woff2", "xls", "xlsb", "xlsm", "xlsx", "zip"}
)

// generic returns the ClassificationGenericEnum of a language.
func generic(language string) string {
	for _, g := range []struct {
		name      string
		languages []string
	}{
		{"TEXT", textLanguages},
		{"IMAGE", imageLanguages},
		{"VIDEO", videoLanguages},
		{"FILE", fileLanguages},
	} {
		if slices.Contains(g.languages, language) {
			return g.name
		}
	}
	if language == unknown {
		return "TEXT"
	}
	return "CODE"
}

// unknown is the member of every enum of the API that claims nothing.
const unknown = "UNKNOWN"

// Language returns the ClassificationSpecificEnum of a file by its name: the
// whole name where the enum has it (Gemfile, .bashrc as bashrc), else its
// extension, in lower case; else UNKNOWN.
func Language(filename string) string {
	base := filename[strings.LastIndexByte(filename, '/')+1:]
	candidates := []string{base, strings.TrimPrefix(base, ".")}
	if dot := strings.LastIndexByte(base, '.'); dot >= 0 {
		candidates = append(candidates, base[dot+1:], strings.ToLower(base[dot+1:]))
	}
	candidates = append(candidates, strings.ToLower(base))
	for _, c := range candidates {
		if known(c) {
			return c
		}
	}
	return unknown
}

// LanguageNamed returns the ClassificationSpecificEnum that a word names, in
// upper or lower case; ok is false when the enum has none.
func LanguageNamed(word string) (language string, ok bool) {
	for _, language := range languages {
		if strings.EqualFold(language, word) {
			return language, true
		}
	}
	return unknown, strings.EqualFold(word, unknown)
}

// known reports whether the enum has the language.
func known(language string) bool {
	_, ok := slices.BinarySearch(languages, language)
	return ok
}

// languages are the members of ClassificationSpecificEnum but UNKNOWN, sorted.
// Source: @pieces.app/pieces-os-client 4.1.0, dist/models.
var languages = strings.Fields(`
.bash_aliases .bash_completions .bash_functions .bash_login .bash_logout .bash_profile
.bash_variables .profile .textmate_init .zlogin .zlogout .zprofile .zshenv .zshrc Appfile
Appraisals Berksfile Brewfile Cargo.lock Cheffile Deliverfile Fastfile Gemfile Gopkg.lock Guardfile
PKGBUILD Pipfile Podfile Rakefile Rantfile Scanfile Snapfile Thorfile Vagrantfile abap adb ads agda
ai ash asp bash bashrc bat bazel bin bmp bsh bzl c capfile cara cc cco cfm class clj cls cmd coffee
cp cpp cppm cpy cs csproj css csv csx curl custom_url_scheme cxx dae dart ddl dmg dml doc
dockerfile docm docx dtml ebuild eclass ecma el elm eot eps erl escript ex exe exs f03 f08 f18 f90
f95 feature fs fsi fsproj fsx ftl gemspec gif glsl gltf go groovy gyp gypi gz h hcl hh hljs-1c
hljs-abnf hljs-accesslog hljs-actionscript hljs-ada hljs-angelscript hljs-apache hljs-applescript
hljs-arcade hljs-arduino hljs-armasm hljs-asciidoc hljs-aspectj hljs-autohotkey hljs-autoit
hljs-avrasm hljs-awk hljs-axapta hljs-bash hljs-basic hljs-bnf hljs-brainfuck hljs-c hljs-cal
hljs-capnproto hljs-ceylon hljs-clean hljs-clojure hljs-clojure-repl hljs-cmake hljs-coffeescript
hljs-coq hljs-cos hljs-cpp hljs-crmsh hljs-crystal hljs-cs hljs-csp hljs-css hljs-d hljs-dart
hljs-delphi hljs-diff hljs-django hljs-dns hljs-dockerfile hljs-dos hljs-dsconfig hljs-dts
hljs-dust hljs-ebnf hljs-elixir hljs-elm hljs-erb hljs-erlang hljs-erlang-repl hljs-excel hljs-fix
hljs-flix hljs-fortran hljs-fsharp hljs-gams hljs-gauss hljs-gcode hljs-gherkin hljs-glsl hljs-gml
hljs-go hljs-golo hljs-gradle hljs-groovy hljs-haml hljs-handlebars hljs-haskell hljs-haxe hljs-hsp
hljs-html hljs-htmlbars hljs-http hljs-hy hljs-inform7 hljs-ini hljs-irpf90 hljs-isbl hljs-java
hljs-javascript hljs-jboss-cli hljs-json hljs-julia hljs-julia-repl hljs-kotlin hljs-lasso
hljs-ldif hljs-leaf hljs-less hljs-lisp hljs-livecodeserver hljs-livescript hljs-llvm hljs-lsl
hljs-lua hljs-makefile hljs-markdown hljs-mathematica hljs-matlab hljs-maxima hljs-mel hljs-mercury
hljs-mipsasm hljs-mizar hljs-mojolicious hljs-monkey hljs-moonscript hljs-n1ql hljs-nginx
hljs-nimrod hljs-nix hljs-nsis hljs-objectivec hljs-ocaml hljs-openscad hljs-oxygene hljs-parser3
hljs-perl hljs-pf hljs-pgsql hljs-php hljs-plaintext hljs-pony hljs-powershell hljs-processing
hljs-profile hljs-prolog hljs-properties hljs-protobuf hljs-puppet hljs-purebasic hljs-python
hljs-q hljs-qml hljs-r hljs-reasonml hljs-rib hljs-roboconf hljs-routeros hljs-rsl hljs-ruby
hljs-ruleslanguage hljs-rust hljs-sas hljs-scala hljs-scheme hljs-scilab hljs-scss hljs-shell
hljs-smali hljs-smalltalk hljs-sml hljs-sqf hljs-sql hljs-stan hljs-stata hljs-step21 hljs-stylus
hljs-subunit hljs-swift hljs-taggerscript hljs-tap hljs-tcl hljs-tex hljs-thrift hljs-toml hljs-tp
hljs-twig hljs-typescript hljs-vala hljs-vbnet hljs-vbscript hljs-vbscript-html hljs-verilog
hljs-vhdl hljs-vim hljs-x86asm hljs-xl hljs-xml hljs-xquery hljs-yaml hljs-zephir hpp hrl hs
hs-boot hsig htc htm html hxx ico ini inl ipp ipynb irbrc ixx jar java jbuilder jl jpe jpeg jpg
jpgm jpgv js json jsonml jsx kt lean lisp list log ltx lua luau m markdn markdown matlab mcurl md
mdown mdwn mjs ml mm mp2 mp2a mp3 mp4 mp4a mpkg nim node oga ogg ogv ogx opml p pas pc pdf php php3
php4 php5 php7 php8 phps phpt phtml pl pm pmc png pod podspec poetry.lock ppt pptm pptx prawn props
pryrc ps ps1 pxd pxd.in pxi pxi.in py py3 pyc pyi pyw pyx pyx.in qt r rabl rake rb rbi rbx rjs rkt
rng rpm rpy rs rss rtf rtx sbt sc scala scm scss sh shtml simplecov smk sol sparql sql sqlproj ssml
sty sublime-snippet sv svelte svg svgz swift t targets tex text tf thor tif tiff tld tmLanguage
tmPreferences tmSnippet tmTheme tml toml ts tsx txt uniform_resource_identifier
uniform_resource_locator unix_file_path uri uris urls vba vbproj vcproj vcxproj vhdl vpy vue wasm
wav weba webm webp windows_file_path woff woff2 wscript xaml xhtml xla xlam xlc xlm xls xlsb xlsm
xlsx xlt xltm xltx xml xsd xsl xslt yaml yml zig zip zsh
`)
