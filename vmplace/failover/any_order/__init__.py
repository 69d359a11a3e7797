"""Restarts in any order: the certificate, and the search for an adversary."""
