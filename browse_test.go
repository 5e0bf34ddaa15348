package cairn_test

import (
	"testing"

	"cairn"
)

func TestDocumentFilter(t *testing.T) {
	doc := cairn.BackupDocument{DocumentName: cairn.DocumentName{Collection: "assets", ID: "a"}, Name: "Größe of server.GO"}
	for filter, want := range map[cairn.DocumentFilter]bool{
		{}: true, {Limit: 1}: true, {Collection: "assets"}: true, {Collection: "asset"}: false,
		{Name: "SERVER.go"}: true, {Name: "GRÖSSE"}: false, {Name: "gRÖß"}: true, {Name: "clients"}: false, {Name: "assets"}: false,
		{Collection: "assets", Name: "server"}: true, {Collection: "tags", Name: "server"}: false,
	} {
		if got := filter.Matches(doc); got != want {
			t.Errorf("%+v matches %v: %t, want %t", filter, doc, got, want)
		}
	}
}

func TestDocumentName(t *testing.T) {
	checkCode(t, "a document of a collection", cairn.DocumentName{Collection: "tags", ID: "A.b"}.Validate(), "")
	checkCode(t, "no collection", cairn.DocumentName{ID: "a"}.Validate(), cairn.CodeInvalid)
	checkCode(t, "no id", cairn.DocumentName{Collection: "tags"}.Validate(), cairn.CodeInvalid)
	if got := (cairn.DocumentName{Collection: "tags", ID: "A.b"}).String(); got != "tags/A.b" {
		t.Errorf("its name is %q", got)
	}
}
