"""What leads an installation, in the suite: choices, recovery, retention, schedules, terms."""
