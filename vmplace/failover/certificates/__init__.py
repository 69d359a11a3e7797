"""Certificates: failures that are survived, told without a plan: in any order of restarts, or by slots."""
