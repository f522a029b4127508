"""From samples to figures. Nothing here reads a clock or knows an engine."""
