package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/bundle"
	"github.com/tillside/tillside/sync/wire"
)

func (p *program) bundleCmd() *cobra.Command {
	var to string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Pack logs, checks and settings for whoever helps from afar",
		Long: `Bundle writes one ZIP with the doctor's findings, what the running agent says of
itself, its settings, the ends of its logs and the types of its records. Card
numbers, phones, names and tokens are not in it; whatever looks like one is
taken out. Tell the id that is printed when you hand the file on.`,
		Example: "  tillside bundle\n  tillside bundle --to /media/stick",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := p.contents(cmd.Context())
			f, err := os.CreateTemp(to, "tillside-*.zip.part")
			if err != nil {
				return fmt.Errorf("write the bundle: %w (name a folder you may write with --to)", err)
			}
			defer os.Remove(f.Name())
			id, err := bundle.Write(f, c)
			if e := f.Close(); err == nil {
				err = e
			}
			if err != nil {
				return err
			}
			name := filepath.Join(cmp.Or(to, "."), "tillside-"+id+".zip")
			if err := os.Rename(f.Name(), name); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.out, map[string]string{"id": id, "file": name})
			}
			fmt.Fprintf(p.out, "bundle %s: %s\n", id, name)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", ".", "folder for the file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return cmd
}

// contents gathers what can be had; what cannot is left out or says why.
func (p *program) contents(ctx context.Context) *bundle.Contents {
	patient := p.patient()
	s := patient.Settings
	findings, worst := patient.Examine(ctx, nil)
	c := &bundle.Contents{
		Doctor: map[string]any{"worst": worst, "findings": findings}, Settings: patient.File, Folder: s.Data, Now: time.Now(),
		System: systemLog(ctx),
	}
	about := map[string]any{"program": p.version, "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH, "cpus": runtime.NumCPU(), "made": time.Now().UTC()}
	if id, err := agent.LoadIdentity(s.Data); err == nil && id != nil {
		about["store"], about["till"], about["device"], about["epoch"], about["centre"], about["enrolled"] = id.Store, id.Till, id.Device, id.Epoch, id.Server, id.Enrolled
	}
	c.About = about
	if st, err := patient.Status(); err == nil {
		c.Status, c.Metrics = st, p.metrics(s.Data)
	} else if sum, err := p.records(); err == nil {
		c.Journal = sum
	} else {
		c.Journal = map[string]string{"not_read": err.Error()}
	}
	if s.Log.File != "" {
		ext := filepath.Ext(s.Log.File)
		logs, _ := filepath.Glob(strings.TrimSuffix(s.Log.File, ext) + "*" + ext + "*")
		slices.Sort(logs)
		c.Logs = logs
	}
	return c
}

// metrics are the running agent's figures.
func (p *program) metrics(dir string) []byte {
	addr, err := address(dir)
	if err != nil {
		return nil
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return b
}

// records counts the records of a stopped agent by type.
func (p *program) records() (map[string]any, error) {
	j, err := p.journal()
	if err != nil {
		return nil, err
	}
	defer j.Close()
	types := map[wire.Type]int{}
	err = j.Box().Each(func(_ uint64, record []byte) error {
		r, err := wire.DecodeRecord(record)
		if err != nil {
			return err
		}
		types[r.Type]++
		return nil
	})
	if err != nil {
		return nil, err
	}
	st, err := j.Box().Stats()
	return map[string]any{"types": types, "first": st.First, "last": st.Head.Seq, "at_the_centre": st.Acked.Seq, "parked": st.Parked}, err
}

// systemLog is what the system keeps of the service.
func systemLog(ctx context.Context) []byte {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	args := []string{"journalctl", "-u", "tillside", "-u", "tillside-relay", "-n", "5000", "--no-pager", "-o", "short-iso"}
	if runtime.GOOS == "windows" {
		args = []string{"wevtutil", "qe", "Application", "/q:*[System[Provider[@Name='tillside']]]", "/f:text", "/c:500", "/rd:true"}
	}
	b, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil && len(b) == 0 {
		return []byte("not read: " + err.Error() + "\n")
	}
	return b
}
