package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// handOver runs another program and waits for it: Windows cannot become one.
// The child is told to stop by the end of its standard input.
func handOver(ctx context.Context, path string, env []string) error {
	cmd := exec.Command(path, append(os.Args[1:], "--child")...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		in.Close()
		select {
		case err = <-done:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			err = <-done
		}
	}
	var code *exec.ExitError
	if errors.As(err, &code) && code.ExitCode() == exitRestart {
		return errChooseAgain
	}
	if err == nil {
		return errEnded
	}
	return fmt.Errorf("the program on the shelf ended: %w", err)
}
