"""The claims of a saved result, re-checked one by one by code of their own."""
