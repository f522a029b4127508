"""What the log of a closed loop says: a summary with a verdict, and the rows as CSV, Parquet or NWB."""
