"""One build: asks the plan what to do, does it, tells the reporter, writes the state."""
