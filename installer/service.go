package installer

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kardianos/service"
)

// Name is the name of the service, and of its user.
const Name = "tillside"

const description = "Tillside loyalty agent beside the till"

// Plan is what a service is to run.
type Plan struct {
	Executable string // absolute
	Config     string // settings file, absolute; empty: the default place
	Data       string // data folder, absolute; empty: the default place
}

// arguments of the installed command line.
func (p Plan) arguments() []string {
	args := []string{"run", "--service"}
	if p.Config != "" {
		args = append(args, "--config", p.Config)
	}
	if p.Data != "" {
		args = append(args, "--data", p.Data)
	}
	return args
}

// Check tells what cannot work: services start in another folder.
func (p Plan) Check() error {
	for _, f := range []string{p.Executable, p.Config, p.Data} {
		if f != "" && !filepath.IsAbs(f) {
			return fmt.Errorf("%s: a service needs absolute paths", f)
		}
		if strings.ContainsAny(f, "\n\r\"%") {
			return fmt.Errorf("%q: quotes, percent signs and line breaks cannot stand in a service's command", f)
		}
	}
	if p.Executable == "" {
		return errors.New("no program to run")
	}
	return nil
}

// config is the plan in the words of the service library.
func (p Plan) config() *service.Config {
	c := &service.Config{
		Name: Name, DisplayName: "Tillside", Description: description,
		Executable: p.Executable, Arguments: p.arguments(),
		Option: service.KeyValue{
			"SystemdScript": unit(p.Data),
			// Windows: recovery is set by CompleteService; the library knows one
			// pause, and a crash only.
		},
	}
	if runtime.GOOS == "windows" {
		c.UserName = `NT SERVICE\` + Name
	}
	return c
}

// String tells the plan to a person, before it is carried out.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "service %s: %s %s\n", Name, p.Executable, strings.Join(p.arguments(), " "))
	if runtime.GOOS == "windows" {
		fmt.Fprintf(&b, "runs as NT SERVICE\\%s, starts with the machine, comes back 5, 30, 60 s after a failure\n", Name)
	} else {
		b.WriteString("writes /etc/systemd/system/" + Name + ".service and enables it\n")
	}
	b.WriteString("undo: tillside service uninstall\n")
	return b.String()
}

// Manager is the part of the system's service manager that is used.
type Manager interface {
	Install() error
	Uninstall() error
	Start() error
	Stop() error
	Restart() error
	Status() (service.Status, error)
}

// program is what the library wants to know of a service it only manages.
type program struct{}

func (program) Start(service.Service) error { return nil }
func (program) Stop(service.Service) error  { return nil }

// Open finds the system's service manager.
func Open(p Plan) (Manager, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	s, err := service.New(program{}, p.config())
	if err != nil {
		return nil, fmt.Errorf("service manager: %w", err)
	}
	return s, nil
}

// ErrUnknownAct is returned by Do for an act that does not exist.
var ErrUnknownAct = errors.New("unknown act")

// Do carries out one act and tells how the service stands then. Install and
// uninstall may be repeated.
func Do(m Manager, act string) (string, error) {
	var err error
	note := ""
	switch act {
	case "install":
		if _, e := m.Status(); e == nil {
			// There is one already: take the new plan.
			if err = m.Uninstall(); err != nil {
				return "", fmt.Errorf("replace the service: %w", err)
			}
		}
		if err = m.Install(); err == nil {
			// A service without one of these is still a service.
			if e := CompleteService(); e != nil {
				note = " (not all of it could be set: " + e.Error() + ")"
			}
		}
	case "uninstall":
		if _, e := m.Status(); errors.Is(e, service.ErrNotInstalled) {
			return "not installed", nil
		}
		_ = m.Stop() // it may be stopped already
		if err = m.Uninstall(); err == nil {
			err = RemoveEventSource()
		}
	case "start":
		err = m.Start()
	case "stop":
		err = m.Stop()
	case "restart":
		err = m.Restart()
	case "status":
	default:
		return "", fmt.Errorf("%q: %w", act, ErrUnknownAct)
	}
	if err != nil {
		return "", fmt.Errorf("%s service: %w", act, err)
	}
	s, err := state(m)
	return s + note, err
}

func state(m Manager) (string, error) {
	s, err := m.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return "not installed", nil
	case err != nil:
		return "", fmt.Errorf("ask the service manager: %w", err)
	case s == service.StatusRunning:
		return "running", nil
	case s == service.StatusStopped:
		return "stopped", nil
	}
	return "unknown", nil
}
