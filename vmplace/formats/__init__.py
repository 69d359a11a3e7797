"""File formats: JSON and YAML documents of clusters, and saved results; read, validated and written."""
