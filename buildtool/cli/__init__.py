"""The command line: options to one call to an exit code. The only place that knows `argv` and exits."""
