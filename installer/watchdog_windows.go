package installer

import "context"

// Ready does nothing: the service reports itself as running when it starts.
func Ready() {}

// Watchdog does nothing: the service manager of Windows has none.
func Watchdog(context.Context, func(ctx context.Context) error) {}
