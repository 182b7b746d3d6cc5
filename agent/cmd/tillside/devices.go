package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/line"
)

func (p *program) devicesCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "devices", Short: "Ports of this machine, models the agent knows", RunE: needCommand}
	var asJSON bool
	list := &cobra.Command{
		Use:   "list",
		Short: "List the ports and the devices of the settings",
		Long: `List shows the serial ports of this machine and which device of the settings
is on which. It asks the system only; no byte goes to a device.`,
		Example: "  tillside devices list",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, _, err := p.settings()
			if err != nil {
				return err
			}
			ports, err := line.Ports()
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.out, ports)
			}
			used := map[string]string{}
			for _, d := range s.Devices {
				used[d.Port] = d.Name
			}
			for _, port := range ports {
				names := append([]string{port.Name}, port.Stable...)
				taken := ""
				for _, n := range names {
					if used[n] != "" {
						taken = used[n]
						delete(used, n)
					}
				}
				fmt.Fprintf(p.out, "%-24s %-24s %s\n", port.Name, taken, strings.Join(append(port.Stable, port.Product), "  "))
			}
			for _, d := range s.Devices {
				if used[d.Port] != "" {
					fmt.Fprintf(p.out, "%-24s %-24s %s\n", d.Port, d.Name, "(in the settings; not listed by the system)")
				}
			}
			return nil
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	models := &cobra.Command{
		Use: "models", Short: "List the device models and drivers the agent knows", Example: "  tillside devices models", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			reg := all.Registry()
			for _, m := range reg.Models() {
				fmt.Fprintf(p.out, "%-28s %-10s %s\n", m.Name, m.Driver, m.Title())
			}
			for _, d := range reg.Drivers() {
				fmt.Fprintf(p.out, "%-28s %-10s %s\n", "driver "+d.Name, d.Kind, d.Title)
			}
			return nil
		},
	}
	cmd.AddCommand(list, models, p.devicesScanCmd(), p.devicesTestCmd())
	return cmd
}
