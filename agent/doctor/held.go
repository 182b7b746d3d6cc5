package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// held: does a virus scanner or indexer hold files while the agent renames
// them? The agent tries again, but each time costs a sale some of its speed.
func held(ctx context.Context, p *Patient) []Finding {
	const (
		tries = 20
		slow  = 250 * time.Millisecond
	)
	refused, worst := 0, time.Duration(0)
	var last error
	for i := range tries {
		if ctx.Err() != nil {
			break
		}
		path := filepath.Join(p.Settings.Data, fmt.Sprintf("doctor-%d.tmp", i))
		if err := os.WriteFile(path, make([]byte, 64<<10), 0o600); err != nil {
			return fine("not looked at: the folder cannot be written")
		}
		begun := time.Now()
		if err := os.Rename(path, path+".new"); err != nil {
			refused, last = refused+1, err
			_ = os.Remove(path)
		}
		_ = os.Remove(path + ".new")
		worst = max(worst, time.Since(begun))
	}
	const do = "tell the virus scanner to leave the data folder alone"
	switch {
	case refused > 0:
		return []Finding{warn("files_held", do, "%d of %d new files could not be renamed at once: %v", refused, tries, last)}
	case worst > slow:
		return []Finding{warn("files_slow", do+", and look at the disk", "renaming a file took %s", worst.Round(time.Millisecond))}
	}
	return fine("nothing holds new files")
}
