"""Which backend answers a bundle best on this machine: candidates measured side by side, and a choice with evidence."""
