"""Sources and sinks for the closed loop, each thin over a library that is an extra of its own."""
