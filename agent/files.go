package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tillside/tillside/agent/filedrop"
	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
)

// FileSettings is the exchange of files as the settings want it.
func FileSettings(f configs.Files) filedrop.Settings {
	return filedrop.Settings{Folder: f.Folder, In: f.In, Out: f.Out, Done: f.Done, Failed: f.Failed,
		Poll: time.Duration(f.Poll), Settle: time.Duration(f.Settle), Patience: time.Duration(f.Patience), Flag: f.Flag,
		Encoding: f.Encoding, Decimal: f.Decimal, Answer: f.Answer, Words: f.Words,
		CSV: filedrop.CSV{Separator: f.CSV.Separator, Columns: f.CSV.Columns, Fields: f.CSV.Fields},
		XML: filedrop.XML{Receipt: f.XML.Receipt, Line: f.XML.Line, Tender: f.XML.Tender, Fields: f.XML.Fields}}
}

// files is the exchange of receipts in files; nil when the settings have none.
// It asks the till as any program does, under the name "files".
func (a *Agent) files() *filedrop.Exchange {
	f := a.o.Settings.Files
	if f.Folder == "" {
		return nil
	}
	log := a.log.With("part", "files")
	x := filedrop.New(filedrop.Config{Settings: FileSettings(f), Till: a.name(), Log: log, Now: a.o.Now,
		Ask: func(ctx context.Context, c filedrop.Call) (int, []byte) {
			return a.till.Inside(ctx, till.Inside{Caller: "files", Call: c.Name, ID: c.ID, Key: c.Key, Body: c.Body})
		},
		Say: func(field, text string) json.RawMessage {
			return till.SayIn(a.o.Settings.Language, "bad_file", field, text)
		},
		Trouble: func(text string) { a.health.Set(text != "", health.FilesFolder, "", text) },
		Waiting: func(n int) { a.health.Set(n > 0, health.FilesWaiting, "", fmt.Sprint(n)) },
		Refused: func(n int) {
			a.health.Set(n > 0, health.FilesRefused, "", fmt.Sprintf("%d in %s, with the reason beside each", n, filepath.Join(f.Folder, f.Failed)))
		}})
	log.Info("receipts in files", "folder", f.Folder)
	return x
}
