"""Why a cluster is not safe, and what would help."""
