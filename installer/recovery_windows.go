package installer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

// CompleteService sets at the registered service what its registration left
// out: recovery and event log. Without a service it does nothing.
func CompleteService() error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open service: %w", err)
	}
	defer s.Close()
	return complete(&registered{s})
}

// registered is a service of the real service manager.
type registered struct{ *mgr.Service }

func (r *registered) SetRecovery(pauses []time.Duration, reset time.Duration) error {
	actions := make([]mgr.RecoveryAction, len(pauses))
	for i, p := range pauses {
		actions[i] = mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: p}
	}
	return r.SetRecoveryActions(actions, uint32(reset/time.Second))
}

func (r *registered) SetRecoveryOnExit(on bool) error {
	return r.SetRecoveryActionsOnNonCrashFailures(on)
}

// eventTypes the event log may get from us.
const eventTypes = eventlog.Error | eventlog.Warning | eventlog.Info

func (r *registered) AddEventSource() error {
	err := eventlog.InstallAsEventCreate(Name, eventTypes)
	if err != nil && strings.Contains(err.Error(), "already exists") {
		return nil
	}
	return err
}

// RemoveEventSource undoes what CompleteService did at the event log.
func RemoveEventSource() error {
	err := eventlog.Remove(Name)
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return nil
	}
	return err
}
