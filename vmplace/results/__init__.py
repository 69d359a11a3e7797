"""Result types: frozen values with the cluster's names, and their JSON."""
