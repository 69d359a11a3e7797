"""Documents and saved results: read, checked and written."""
