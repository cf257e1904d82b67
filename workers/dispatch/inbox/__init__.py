"""What is addressed to turns that exist: signals, cancels, timers, results of steps that ran elsewhere."""
