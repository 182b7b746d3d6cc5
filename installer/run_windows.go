package installer

import (
	"context"
	"errors"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows/svc"
)

// runner is the service while it works.
type runner struct {
	work func(ctx context.Context) error
	stop context.CancelFunc
	done chan error
}

// Start returns at once, as the service manager wants; the work follows.
func (r *runner) Start(s service.Service) error {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.done = cancel, make(chan error, 1)
	go func() {
		err := r.work(ctx)
		r.done <- err
		if ctx.Err() == nil {
			// It ended by itself: a crash to the service manager, so that
			// its recovery action starts it again.
			panic(errors.Join(errors.New("the agent ended"), err))
		}
	}()
	return nil
}

// Stop ends the work and waits for it.
func (r *runner) Stop(service.Service) error {
	r.stop()
	err := <-r.done
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// RunService runs work under the service manager. svc.Run is called by
// ourselves: the library's own test for "started by hand" is wrong under some
// service managers.
func RunService(work func(ctx context.Context) error) error {
	s, err := service.New(&runner{work: work}, Plan{Executable: `C:\tillside.exe`}.config())
	if err != nil {
		return err
	}
	h, ok := s.(svc.Handler)
	if !ok {
		return s.Run()
	}
	return svc.Run(Name, h)
}
