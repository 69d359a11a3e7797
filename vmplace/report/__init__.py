"""Terminal reports: tables and texts for the command line."""
